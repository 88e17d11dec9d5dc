package notifier

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"duewatch/reminder"
)

// defaultTimeout is longer than Twilio's own time-out (26 to 30 s): a client that
// hangs up first does not get to know whether its text was sent.
const defaultTimeout = 35 * time.Second

const (
	defaultBaseURL     = "https://api.twilio.com"
	defaultConcurrency = 4
)

// Config is what a Notifier needs to know. It never prints its secrets.
type Config struct {
	AccountSID string // AC…
	// The credentials are AuthToken, or APIKeySID (SK…) with APIKeySecret. With both,
	// the API key is used.
	AuthToken               string
	APIKeySID, APIKeySecret string
	// From is a number or an alphanumeric sender. It or MessagingServiceSID
	// (MG…) must be given; with both, From must belong to the service.
	From                string
	MessagingServiceSID string
	BaseURL             string        // "" = Twilio; plain http only to this machine
	Timeout             time.Duration // of one call; 0 = 35 s
	Delivery            reminder.Delivery
	Transport           http.RoundTripper // nil = our own
	Concurrency         int               // calls at a time, for each of which a connection is kept; 0 = 4
	Log                 *slog.Logger      // one debug line for each call; nil = none
	// OnCall is called after each Send, Fetch and page of a List. The op is send,
	// fetch or list; the outcome is an Outcome for send, else ok, not_found, stop or
	// retry. It must not block; nil = nobody asks.
	OnCall func(op, outcome string, took time.Duration)
	// OnDate is called after each request: with the Date header of its answer, zero =
	// it has none, or with the error of a request without an answer. It must not
	// block; nil = nobody asks.
	OnDate func(date time.Time, err error)
}

var (
	accountSIDForm = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	apiKeySIDForm  = regexp.MustCompile(`^SK[0-9a-fA-F]{32}$`)
	serviceSIDForm = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
	// secretForm is all that a header can carry. It refuses above all the line break
	// at the end of a secret file. (twilio-go's own client refuses all but letters and
	// digits, with error codes that look like Twilio's.)
	secretForm = regexp.MustCompile(`^[!-~]+$`)
	senderForm = regexp.MustCompile(`^[!-~]([ -~]{0,14}[!-~])?$`)
)

// check returns the base URL, or one error that joins everything wrong with c. In
// mode off nothing is sent, so the account and the sender may be missing, but not
// half given.
func (c Config) check() (*url.URL, error) {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}

	unset := c.AccountSID == "" && c.AuthToken == "" && c.APIKeySID == "" && c.APIKeySecret == ""
	if c.Delivery.Mode != reminder.ModeOff || !unset {
		fault(!accountSIDForm.MatchString(c.AccountSID), "account_sid: must be AC and 32 hexadecimal digits")
		fault((c.APIKeySID == "") != (c.APIKeySecret == ""), "api_key_sid, api_key_secret: one needs the other")
		fault(c.AuthToken == "" && c.APIKeySID == "", "auth_token: is empty, and there is no api_key_sid either")
	}
	fault(c.APIKeySID != "" && !apiKeySIDForm.MatchString(c.APIKeySID), "api_key_sid: must be SK and 32 hexadecimal digits")
	const badCharacter = "has a space, line break or other character that cannot be part of it"
	fault(c.APIKeySecret != "" && !secretForm.MatchString(c.APIKeySecret), "api_key_secret: "+badCharacter)
	fault(c.AuthToken != "" && !secretForm.MatchString(c.AuthToken), "auth_token: "+badCharacter)

	fault(c.Delivery.Mode != reminder.ModeOff && c.From == "" && c.MessagingServiceSID == "",
		"from: is empty, and there is no messaging_service_sid either")
	fault(c.From != "" && !senderForm.MatchString(c.From), "from: must be a number such as +254710000000 or an alphanumeric sender")
	fault(c.MessagingServiceSID != "" && !serviceSIDForm.MatchString(c.MessagingServiceSID),
		"messaging_service_sid: must be MG and 32 hexadecimal digits")

	fault(c.Timeout < 0, "timeout: is negative")
	fault(c.Concurrency < 0, "concurrency: is negative")
	switch c.Delivery.Mode {
	case reminder.ModeOff, reminder.ModeAllowlist, reminder.ModeLive:
	case reminder.ModeRedirect:
		fault(c.Delivery.RedirectTo == "", "redirect_to: is empty, and the mode is redirect")
	default:
		fault(true, "mode: %q is none of off, allowlist, redirect, live", c.Delivery.Mode)
	}

	base, err := baseURL(cmp.Or(c.BaseURL, defaultBaseURL))
	if err != nil {
		faults = append(faults, err)
	}
	return base, errors.Join(faults...)
}

func baseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("base_url: must be an address such as " + defaultBaseURL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("base_url: must have no user, query or fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("base_url: must begin with https, or the credentials would be sent unencrypted")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Format keeps the secrets and the phones from being printed, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "notifier.Config{[redacted]}") }

// LogValue is Format, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// MarshalJSON is Format, for JSON.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(c)) }
