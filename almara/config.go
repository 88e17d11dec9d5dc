package almara

import (
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
	RecheckRegister = "register"
	RecheckLookup   = "lookup"

	EncodingJSON = "json"
	EncodingForm = "form"
)

// Unpaced is the Rate of a client whose caller keeps to the rate by itself, such as on
// a virtual clock.
const Unpaced = 1e9

// Config is what a Client needs to know. Every field but BaseURL, ClientID and
// ClientSecret has a default. It prints itself without the secret in every
// format.
type Config struct {
	BaseURL       string // https://…; http only to this machine, for the sandbox
	TokenPath     string // below BaseURL, or a full URL where tokens have their own host; default /v1/oauth/token
	TokenEncoding string // json (default) or form, for the older identity server
	Scope         string // "" = not sent
	ClientID      string
	ClientSecret  string
	RecheckWith   string        // register (default): POST again; lookup: GET what was saved
	Timeout       time.Duration // of one request, body included; default 30 s
	Rate          float64       // bill-number requests a second, retries included; default 20, Unpaced = as they come
	Concurrency   int           // bill-number calls at once; default 16
	OmitPhone     bool          // leaves the optional phoneNumber out: RemindMeDueDate may have Almara Pay text it
	Currency      string        // ISO 4217, of all amounts; "" = amounts with a currency are not read
	Country       string        // ISO 3166, two letters: whether 02/12/2026 may have the month first

	Transport http.RoundTripper // nil = an own one, tuned to Concurrency
	Now       func() time.Time  // dates answers and judges due dates; nil = time.Now
	Log       *slog.Logger      // nil = silent

	// OnCall is told of every request once it has ended: op is token, register
	// or lookup; outcome is ok, rejected, unclear, forbidden, retry, stop or breaker; took is that
	// request alone, without waiting for the rate limit or a retry. The outcome
	// breaker is a call for which no request was made. A request that the caller
	// cancelled is not told. It is called from many goroutines.
	OnCall func(op, outcome string, took time.Duration)
	// OnDate is told of every answer what its Date header says, zero = it has
	// none, and of every request without an answer why. nil = nobody asks.
	OnDate func(date time.Time, err error)
}

// withDefaults fills what was left empty.
func (c Config) withDefaults() Config {
	setDefault(&c.TokenPath, "/v1/oauth/token")
	setDefault(&c.TokenEncoding, EncodingJSON)
	setDefault(&c.RecheckWith, RecheckRegister)
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.Rate, 20)
	setDefault(&c.Concurrency, 16)
	if c.Transport == nil {
		c.Transport = newTransport(c.Concurrency)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.OnCall == nil {
		c.OnCall = func(string, string, time.Duration) {}
	}
	if c.OnDate == nil {
		c.OnDate = func(time.Time, error) {}
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// newTransport keeps one idle connection for each concurrent call; the
// library's default of two would dial again and again.
func newTransport(concurrency int) http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConns = concurrency + 1 // one more for a token host of its own
	t.MaxIdleConnsPerHost = concurrency
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// endpoints are the addresses that follow from a Config.
type endpoints struct {
	billNumbers *url.URL
	token       *url.URL
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
		e.token = base.JoinPath(c.TokenPath)
	}
	if strings.Contains(c.TokenPath, "://") {
		if e.token, fault = parseEndpoint(c.TokenPath); fault != "" {
			bad("token_path", fault)
		}
	} else if !strings.HasPrefix(c.TokenPath, "/") || strings.ContainsAny(c.TokenPath, "?#") {
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

// public is the part of a Config that may be printed.
func (c Config) public() []slog.Attr {
	secret := ""
	if c.ClientSecret != "" {
		secret = "[redacted]"
	}
	return []slog.Attr{
		slog.String("base_url", c.BaseURL),
		slog.String("token_path", c.TokenPath),
		slog.String("token_encoding", c.TokenEncoding),
		slog.String("scope", c.Scope),
		slog.String("client_id", c.ClientID),
		slog.String("client_secret", secret),
		slog.String("recheck_with", c.RecheckWith),
		slog.Duration("timeout", c.Timeout),
		slog.Float64("rate", c.Rate),
		slog.Int("concurrency", c.Concurrency),
		slog.Bool("omit_phone", c.OmitPhone),
		slog.String("currency", c.Currency),
		slog.String("country", c.Country),
	}
}

// LogValue is the config without its secret, for slog.
func (c Config) LogValue() slog.Value { return slog.GroupValue(c.public()...) }

// Format prints the config without its secret, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.LogValue().String()) }

// MarshalJSON is the config without its secret.
func (c Config) MarshalJSON() ([]byte, error) {
	m := make(map[string]any)
	for _, a := range c.public() {
		m[a.Key] = a.Value.String()
	}
	return json.Marshal(m)
}
