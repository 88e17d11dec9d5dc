package almara

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The values of Config.RecheckWith and Config.TokenEncoding.
const (
	RecheckRegister = "register" // save the bill number again
	RecheckLookup   = "lookup"   // get the saved one

	EncodingJSON = "json"
	EncodingForm = "form" // for the older identity server
)

// Unpaced is the Rate of a client whose caller keeps to the rate by itself, such as on
// a virtual clock.
const Unpaced = 1e9

// Config is what a Client needs to know. Every field but BaseURL, ClientID and
// ClientSecret has a default. It never prints its secret, in any format.
type Config struct {
	BaseURL       string // https://…; http only on this machine, for the sandbox
	TokenPath     string // below BaseURL; default /v1/oauth/token
	TokenEncoding string // EncodingJSON (default) or EncodingForm
	Scope         string // "" = not sent
	ClientID      string
	ClientSecret  string
	RecheckWith   string        // RecheckRegister (default) or RecheckLookup
	Timeout       time.Duration // of one request with its answer; default 30 s
	Rate          float64       // bill-number requests a second, retries included; default 20, Unpaced = as they come
	Concurrency   int           // bill-number calls at once; default 16
	OmitPhone     bool          // leaves out the optional phoneNumber: with RemindMeDueDate, Almara Pay may text it
	Currency      string        // ISO 4217, of all amounts; "" = amounts that name a currency are not read
	Country       string        // ISO 3166, two letters: whether 02/12/2026 may have the month first

	Transport http.RoundTripper // nil = an own one, tuned to Concurrency
	Now       func() time.Time  // dates answers, and bounds due dates; nil = time.Now
	Log       *slog.Logger      // nil = silent

	// OnCall is called after every request that the caller did not cancel. The op is
	// token, register, lookup or services; the outcome is ok, rejected, unclear, forbidden,
	// retry or stop, or breaker for a call that made no request; took is the time of
	// that request alone, without waits for the rate limit or a retry. It is called
	// from many goroutines; nil = nobody asks.
	OnCall func(op, outcome string, took time.Duration)
	// OnDate is called after every request: with the Date header of its answer, zero =
	// it has none, or with the error of a request without an answer. nil = nobody asks.
	OnDate func(date time.Time, err error)
}

// withDefaults fills what was left empty.
func (c Config) withDefaults() Config {
	c.TokenPath = cmp.Or(c.TokenPath, "/v1/oauth/token")
	c.TokenEncoding = cmp.Or(c.TokenEncoding, EncodingJSON)
	c.RecheckWith = cmp.Or(c.RecheckWith, RecheckRegister)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Rate = cmp.Or(c.Rate, 20)
	c.Concurrency = cmp.Or(c.Concurrency, 16)
	if c.Transport == nil {
		c.Transport = newTransport(c.Concurrency)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.OnCall == nil {
		c.OnCall = func(string, string, time.Duration) {}
	}
	if c.OnDate == nil {
		c.OnDate = func(time.Time, error) {}
	}
	return c
}

// newTransport keeps one idle connection for each concurrent call. With the default
// of two, most calls would open a new one.
func newTransport(concurrency int) http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConns = concurrency
	t.MaxIdleConnsPerHost = concurrency
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// endpoints are the addresses that the client calls.
type endpoints struct {
	billNumbers  *url.URL
	billServices *url.URL
	token        *url.URL
}

// check reports everything that is wrong with c, which has its defaults.
func (c Config) check() (endpoints, error) {
	var (
		e    endpoints
		errs []error
	)
	bad := func(key, says string) { errs = append(errs, fmt.Errorf("almara.%s %s", key, says)) }

	base, fault := parseEndpoint(c.BaseURL)
	switch {
	case fault != "":
		bad("base_url", fault)
	case strings.HasSuffix(strings.TrimRight(base.Path, "/"), "/v1"):
		bad("base_url", "ends in /v1, which is part of the API's paths: leave it off")
	default:
		e.billNumbers = base.JoinPath("/v1/bill-numbers")
		e.billServices = base.JoinPath("/v1/bill-services")
		e.token = base.JoinPath(c.TokenPath)
	}
	if !strings.HasPrefix(c.TokenPath, "/") || strings.ContainsAny(c.TokenPath, "?#") {
		bad("token_path", "is not a path: write one such as /v1/oauth/token")
	}
	if c.TokenEncoding != EncodingJSON && c.TokenEncoding != EncodingForm {
		bad("token_encoding", "is neither json nor form")
	}
	if c.RecheckWith != RecheckRegister && c.RecheckWith != RecheckLookup {
		bad("recheck_with", "is neither register nor lookup")
	}
	if c.ClientID == "" {
		bad("client_id", "is empty: write the id that Almara Pay gave you")
	}
	if c.ClientSecret == "" {
		bad("client_secret", "is empty: better than here, put it in client_secret_file or the credential almara_client_secret")
	}
	if c.Timeout < 0 {
		bad("timeout", "is negative: write one such as 30s")
	}
	if !(c.Rate > 0) || math.IsInf(c.Rate, 0) {
		bad("rate", "is not a number of requests a second above 0")
	}
	if c.Concurrency < 0 {
		bad("concurrency", "is negative: write the number of calls at once, such as 16")
	}
	return e, errors.Join(errs...)
}

// parseEndpoint reads an address to which credentials may be sent, or says
// what is wrong with it. It does not repeat the address, which may hold a
// password.
func parseEndpoint(s string) (u *url.URL, fault string) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil, "is empty: write the address that Almara Pay gave you, https://…"
	case err != nil || u.Hostname() == "":
		return nil, "is not an address: write https://…"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, "has more than a host and a path: credentials go to client_id and client_secret"
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, ""
	default:
		return nil, "is not https, so the secret would travel in the clear: write https://…"
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Format keeps the secret from being printed, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "almara.Config{[redacted]}") }

// LogValue is Format, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// MarshalJSON is Format, for JSON.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(c)) }
