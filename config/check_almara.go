package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Bounds of how Almara Pay is called.
const (
	minAlmaraTimeout = time.Second
	maxAlmaraTimeout = 5 * time.Minute
	minRate          = 0.1
	maxRate          = 100_000
	maxConcurrency   = 256
)

func (c *checker) almara(v view) Almara {
	a := Almara{
		BaseURL:       v.baseURL("almara.base_url"),
		TokenPath:     v.tokenPath("almara.token_path"),
		TokenEncoding: v.oneOf("almara.token_encoding", "json", "form"),
		Scope:         v.text("almara.scope"),
		ClientID:      v.text("almara.client_id"),
		ClientSecret:  c.secret(v, wanted{"almara.client_secret", "almara_client_secret", nil}),
		RecheckWith:   v.oneOf("almara.recheck_with", "register", "lookup"),
		SharePhone:    v.flag("almara.share_phone"),
		Timeout:       v.duration("almara.timeout", minAlmaraTimeout, maxAlmaraTimeout),
		Rate:          v.rate("almara.rate", minRate, maxRate),
		Concurrency:   v.count("almara.concurrency", maxConcurrency),
	}
	if c.opts.Sandbox {
		return a
	}
	if v.text("almara.base_url") == "" {
		v.missing("almara.base_url", "write the address of Almara Pay that came with your account, https://…")
	}
	if a.ClientID == "" {
		v.missing("almara.client_id", "write the client id that Almara Pay gave you")
	}
	if !c.given(v, "almara.client_secret", a.ClientSecret) {
		v.missing("almara.client_secret", "give the credential almara_client_secret, or write almara.client_secret_file")
	}
	return a
}

// tokenPath reads a path below the base URL.
func (v view) tokenPath(key string) string {
	s := v.text(key)
	u, err := url.Parse(s)
	if err != nil || !strings.HasPrefix(s, "/") || u.Host != "" || strings.ContainsAny(s, "?# ") {
		v.bad(key, "%s is not a path: write one that starts with /, such as /v1/oauth/token", shown(s))
		return ""
	}
	return s
}

// loopback reports whether a host name or address cannot be reached from other
// hosts.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
