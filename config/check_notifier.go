package config

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"duewatch/reminder"
)

// Bounds of how texts are handed over. Twilio itself gives up on a request after 26
// to 30 seconds: a client that gives up earlier does not know whether its text was
// sent.
const (
	minNotifierTimeout = 30 * time.Second
	maxNotifierTimeout = 5 * time.Minute
	minReconcile       = 30 * time.Second
	maxReconcile       = 24 * time.Hour
	maxReconciles      = 6
	maxSegments        = 10 // Twilio takes 1,600 characters
)

func (c *checker) notifier(v view) Notifier {
	n := Notifier{
		Provider:          v.oneOf("notifier.provider", "twilio"),
		Timeout:           v.duration("notifier.timeout", minNotifierTimeout, maxNotifierTimeout),
		SegmentsPerSecond: v.rate("notifier.segments_per_second", minRate, maxRate),
		Concurrency:       v.count("notifier.concurrency", maxConcurrency),
		MaxSegments:       v.count("notifier.max_segments", maxSegments),
		PricePerSegment:   v.price("notifier.price_per_segment"),
		Unknown:           v.oneOf("notifier.unknown", UnknownResend, UnknownHold),
		Twilio:            c.twilio(v),
	}
	v.each("notifier.reconcile_after", func(item string) string {
		d, fault := readDuration(item, minReconcile, maxReconcile)
		if last := len(n.ReconcileAfter) - 1; fault == "" && last >= 0 && d <= n.ReconcileAfter[last] {
			fault = shown(item) + " is not later than the one before it: write them in order, such as [2m, 15m]"
		}
		n.ReconcileAfter = append(n.ReconcileAfter, d)
		return fault
	})
	switch delays := len(n.ReconcileAfter); {
	case v.broken("notifier.reconcile_after"):
	case delays == 0 || delays > maxReconciles:
		v.bad("notifier.reconcile_after", "has %d durations: write 1 to %d, such as [2m, 15m]", delays, maxReconciles)
	case delays == 1 && n.Unknown == UnknownResend:
		// The provider's list is not consistent at once: a text that it does not
		// have may be there a moment later.
		v.bad("notifier.reconcile_after", "has one duration, which is not enough to send a text again: "+
			"write two, such as [2m, 15m], or set notifier.unknown to hold")
	}
	return n
}

// price reads an amount above zero; nil when it is left empty.
func (v view) price(key string) *reminder.Money {
	if v.text(key) == "" {
		return nil
	}
	m := v.amount(key)
	if m.Sign() == 0 && !v.broken(key) {
		v.bad(key, `%s is no price: write one such as "0.80", or "" when it is not known`, shown(v.text(key)))
	}
	return &m
}

// The forms of Twilio's ids (Twilio, "What is a String Identifier (SID)") and
// of what a text may be sent from: a number, a short code, or an alphanumeric
// sender id of at most 11 characters with a letter among them.
var (
	accountSID    = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	apiKeySID     = regexp.MustCompile(`^SK[0-9a-f]{32}$`)
	messagingSID  = regexp.MustCompile(`^MG[0-9a-f]{32}$`)
	alphanumeric  = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	senderNumber  = regexp.MustCompile(`^(\+[1-9][0-9]{6,14}|[0-9]{3,8})$`)
	senderName    = regexp.MustCompile(`^[A-Za-z0-9 +_&-]{1,11}$`)
	senderLetters = regexp.MustCompile(`[A-Za-z]`)
)

func checkTwilioSecret(s string) error {
	if !alphanumeric.MatchString(s) {
		return errors.New("holds more than letters and digits, which a secret of Twilio's never does: copy it again from the console")
	}
	return nil
}

func (c *checker) twilio(v view) Twilio {
	const (
		section = "notifier.twilio."
		theRest = "and 32 digits or letters a to f, from the Twilio console"
	)
	t := Twilio{
		AccountSID:          v.identifier(section+"account_sid", accountSID, "AC "+theRest),
		AuthToken:           c.secret(v, wanted{section + "auth_token", "twilio_auth_token", checkTwilioSecret}),
		APIKeySID:           v.identifier(section+"api_key_sid", apiKeySID, "SK "+theRest),
		APIKeySecret:        c.secret(v, wanted{section + "api_key_secret", "twilio_api_key_secret", checkTwilioSecret}),
		From:                v.text(section + "from"),
		MessagingServiceSID: v.identifier(section+"messaging_service_sid", messagingSID, "MG "+theRest),
		BaseURL:             v.baseURL(section + "base_url"),
	}
	if t.From != "" && !isSender(t.From) {
		// Not repeated: it may be somebody's number.
		v.bad(section+"from", "is no sender: write a number with + and country code, "+
			"or a registered name of at most 11 letters, digits and spaces")
	}

	sender, service := v.text(section+"from") != "", v.text(section+"messaging_service_sid") != ""
	token := c.given(v, section+"auth_token", t.AuthToken)
	keySID, keySecret := v.text(section+"api_key_sid") != "", c.given(v, section+"api_key_secret", t.APIKeySecret)
	if sender && service {
		v.bad(section+"messaging_service_sid", "is set beside notifier.twilio.from: keep one")
	}
	// Callbacks are signed with the token, also where calls are made with a key.
	if token && (keySID || keySecret) && v.text("web.public_url") == "" {
		key := "api_key_sid"
		if !keySID {
			key = "api_key_secret"
		}
		v.bad(section+key, "an API key is set beside notifier.twilio.auth_token: keep one of them")
	}
	if c.opts.Sandbox || v.broken("notifier.mode") || v.text("notifier.mode") == string(reminder.ModeOff) {
		return t
	}
	if v.text(section+"account_sid") == "" {
		v.missing(section+"account_sid", "write the account SID from the Twilio console, AC…")
	}
	switch {
	case !token && !keySID && !keySecret:
		v.missing(section+"auth_token", "give the credential twilio_auth_token, or write notifier.twilio.auth_token_file")
	case keySID && !keySecret:
		v.missing(section+"api_key_secret", "give the credential twilio_api_key_secret, or write notifier.twilio.api_key_secret_file")
	case keySecret && !keySID:
		v.missing(section+"api_key_sid", "write the SID of the API key, SK…")
	}
	if !sender && !service {
		v.missing(section+"from", "write the number or registered name that texts come from, or notifier.twilio.messaging_service_sid")
	}
	return t
}

// isSender reports whether a text may be sent from s by its form.
func isSender(s string) bool {
	isName := senderName.MatchString(s) && senderLetters.MatchString(s) && strings.TrimSpace(s) == s
	return isName || senderNumber.MatchString(s)
}

func (c *checker) delivery(v view, cfg *Config) reminder.Delivery {
	d := reminder.Delivery{
		Mode: reminder.Mode(v.oneOf("notifier.mode",
			string(reminder.ModeOff), string(reminder.ModeAllowlist), string(reminder.ModeRedirect), string(reminder.ModeLive))),
		Allowlist:  map[reminder.Phone]bool{},
		RedirectTo: v.phone("notifier.redirect_to", cfg),
	}
	items := 0
	v.each("notifier.allowlist", func(item string) string {
		items++
		p, err := cfg.Phones.Parse(item)
		switch {
		case err == nil && d.Allowlist[p]:
			return "is on the list twice: keep one"
		case err == nil:
			d.Allowlist[p] = true
		case cfg.Country != "" || strings.HasPrefix(item, "+"):
			return err.Error()
		}
		return ""
	})
	if d.Mode == reminder.ModeAllowlist && items == 0 && len(v.list("notifier.allowlist")) == 0 {
		v.missing("notifier.allowlist", "mode allowlist needs the phones that may be texted, such as [+254710000001]")
	}
	if d.Mode == reminder.ModeRedirect && v.text("notifier.redirect_to") == "" {
		v.missing("notifier.redirect_to", "mode redirect needs the phone that gets every text, such as +254710000001")
	}
	return d
}
