package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Bounds of how long history is kept: no stage of a due date may be forgotten
// while another is still to come.
const (
	minRetention = 90 * day
	minWords     = 7 * day
	maxRetention = 3650 * day
)

func (c *checker) schedule(v view) Schedule {
	job := func(name string) string {
		key := join("schedule", name)
		s := v.text(key)
		const want = `write minute, hour, day, month and weekday, such as "*/10 * * * *", or "@every 10m"`
		if s == "" {
			v.bad(key, "is empty: %s", want)
		} else if c.opts.CheckSchedule != nil {
			if err := c.opts.CheckSchedule(s); err != nil {
				v.bad(key, "%s is not a cron expression (%v): %s", shown(s), err, want)
			}
		}
		return s
	}
	return Schedule{
		Register:     job("register"),
		Recheck:      job("recheck"),
		Remind:       job("remind"),
		Receipts:     job("receipts"),
		Housekeeping: job("housekeeping"),
	}
}

// minToken is the length of the shortest token that may protect an address which other
// hosts can reach.
const minToken = 16

func checkToken(s string) error {
	if len(s) < minToken {
		return fmt.Errorf("is too short: use at least %d characters, such as openssl rand -hex 16 prints", minToken)
	}
	return nil
}

func (c *checker) web(v view, t Twilio) Web {
	w := Web{Listen: v.text("web.listen"), Token: c.secret(v, wanted{"web.token", "web_token", checkToken})}
	w.PublicURL, w.CallbacksListen = c.callbacks(v, t)
	host, port, err := net.SplitHostPort(w.Listen)
	if !isAddress(w.Listen) || err != nil {
		v.bad("web.listen", "%s is not host:port: write an address such as 127.0.0.1:8750", shown(w.Listen))
		return w
	}
	if !loopback(host) && !c.given(v, "web.token", w.Token) {
		v.bad("web.listen", "%s can be reached from other hosts, and no token protects it: "+
			"write 127.0.0.1:%s, or give the credential web_token or web.token_file", shown(w.Listen), port)
	}
	return w
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	_, notPort := strconv.ParseUint(port, 10, 16)
	return err == nil && notPort == nil
}

// maxPublicURL leaves room in the 4,000 characters that Twilio takes (error 21609).
const maxPublicURL = 1000

// callbacks reads where the provider reports by itself. It signs what it says with the
// account's auth token, and with nothing else.
func (c *checker) callbacks(v view, t Twilio) (publicURL, listen string) {
	const key, listenKey = "web.public_url", "web.callbacks_listen"
	listen = v.text(listenKey)
	if !isAddress(listen) {
		v.bad(listenKey, "%s is not host:port: write an address such as 127.0.0.1:8752", shown(listen))
	}
	publicURL = v.text(key)
	if publicURL == "" {
		return "", listen
	}
	if listen == v.text("web.listen") && !strings.HasSuffix(listen, ":0") {
		v.bad(listenKey, "is the address of web.listen, which must stay apart: write another port")
	}
	if want := publicURLFault(publicURL); want != "" {
		v.bad(key, "%s", want)
		return "", listen
	}
	if !c.opts.Sandbox && !c.given(v, "notifier.twilio.auth_token", t.AuthToken) {
		v.bad(key, "needs the account's auth token, by which Twilio signs its callbacks; an API key signs none: give the credential "+
			"twilio_auth_token or notifier.twilio.auth_token_file as well, or leave web.public_url empty")
	}
	return strings.TrimRight(publicURL, "/"), listen
}

// plainPath is a path that no proxy and no library writes in another way.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._~-]*$`)

// publicURLFault is what is wrong with an address that Twilio is to call; "" = nothing.
// Plain http is for this machine alone, where only the sandbox calls it.
func publicURLFault(s string) string {
	const want = "write the address at which Twilio reaches this host, such as https://reminders.example.com"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return "is not a web address: " + want // not repeated: it may hold a password
	case u.User != nil:
		return "holds a user or password: " + want
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "?#"):
		return "has a ? or # part: " + want
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return shown(s) + " is not encrypted, and phones and words of customers come that way: write https://" + u.Host
	case strings.Contains(u.Hostname(), "_"):
		return shown(s) + " has an underscore in its name, which Twilio refuses (21609): " + want
	case !plainPath.MatchString(u.EscapedPath()) || strings.Contains(u.Path, "//") || strings.Contains(u.Path, ".."):
		return shown(s) + " has a path with other than letters, digits, - and _ in it: " + want
	case len(s) > maxPublicURL:
		return "is too long: " + want
	case strings.Contains(u.Path+"/", "/twilio/status/") || strings.Contains(u.Path+"/", "/twilio/inbound/"):
		return shown(s) + " names the path, which duewatch adds by itself: leave /twilio/… out"
	}
	return ""
}

func (c *checker) log(v view) Log {
	l := Log{Format: v.oneOf("log.format", LogText, LogJSON)}
	if level := v.oneOf("log.level", "debug", "info", "warn", "error"); level != "" {
		_ = l.Level.UnmarshalText([]byte(level)) // each of the four is one
	}
	return l
}
