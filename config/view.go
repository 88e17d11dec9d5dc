package config

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"duewatch/importer"
	"duewatch/reminder"
)

// view reads typed values out of one level of the config and notes what is
// wrong with them. The methods return a zero value for a bad one, and accept
// "" where a key may be left empty.
type view struct {
	problems *problems
	get      func(key string) any
	where    func(key string) (at place, path string)
}

// bad notes that the value of a key is wrong.
func (v view) bad(key, format string, args ...any) {
	at, path := v.where(key)
	v.problems.add(at, path, format, args...)
}

// broken reports whether the value of a key is already known to be wrong, so
// that what is derived from it needs no further complaint.
func (v view) broken(key string) bool { return v.problems.has(v.where(key)) }

func (v view) text(key string) string {
	s, _ := v.get(key).(string)
	return s
}

// missing notes that a key must be set.
func (v view) missing(key, want string) {
	if !v.broken(key) {
		v.bad(key, "is not set: %s", want)
	}
}

// each calls do for the items of a list that are values at all. What do
// returns is wrong with the item, "" for nothing.
func (v view) each(key string, do func(item string) (fault string)) {
	at, path := v.where(key)
	if v.problems.has(at, path) {
		return
	}
	for i, item := range v.list(key) {
		here, itemPath := v.where(index(key, i))
		if at.env != "" {
			here = at
		}
		if v.problems.has(here, itemPath) {
			continue
		}
		if fault := do(item); fault != "" {
			v.problems.add(here, itemPath, "%s", fault)
		}
	}
}

func (v view) list(key string) []string {
	switch l := v.get(key).(type) {
	case []string:
		return l
	case []any:
		out := make([]string, len(l))
		for i := range l {
			out[i], _ = l[i].(string)
		}
		return out
	default:
		return nil
	}
}

// oneOf reads a word out of a closed list.
func (v view) oneOf(key string, words ...string) string {
	s := v.text(key)
	if !slices.Contains(words, s) {
		v.bad(key, "%s is none of the choices: write %s", shown(s), importer.OrList(words))
		return ""
	}
	return s
}

func (v view) flag(key string) bool {
	return v.oneOf(key, "false", "true") == "true"
}

// matching reads a text of a given form.
func (v view) matching(key string, form *regexp.Regexp, want string) string {
	s := v.text(key)
	if !form.MatchString(s) {
		v.bad(key, "%s is not one: write %s", shown(s), want)
		return ""
	}
	return s
}

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// identifier reads an optional id at the provider. It is not repeated in the
// problem: a token pasted behind the wrong key looks much like one.
func (v view) identifier(key string, form *regexp.Regexp, want string) string {
	s := v.text(key)
	if s != "" && !form.MatchString(s) {
		v.bad(key, "does not have the right form: write %s", want)
		return ""
	}
	return s
}

// count reads a whole number from 1 to most.
func (v view) count(key string, most int) int { return v.whole(key, 1, most) }

func (v view) whole(key string, least, most int) int {
	s := v.text(key)
	n, err := strconv.Atoi(s)
	if err != nil {
		v.bad(key, "%s is not a whole number: write one from %d to %d", shown(s), least, most)
		return 0
	}
	if n < least || n > most {
		v.bad(key, "%s is out of range: write a number from %d to %d", shown(s), least, most)
		return 0
	}
	return n
}

var plainNumber = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// rate reads a number that may have a fraction.
func (v view) rate(key string, least, most float64) float64 {
	s := v.text(key)
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !plainNumber.MatchString(s) {
		v.bad(key, "%s is not a number: write one from %v to %v", shown(s), least, most)
		return 0
	}
	if n < least || n > most {
		v.bad(key, "%s is out of range: write a number from %v to %v", shown(s), least, most)
		return 0
	}
	return n
}

func (v view) duration(key string, least, most time.Duration) time.Duration {
	d, fault := readDuration(v.text(key), least, most)
	if fault != "" {
		v.bad(key, "%s", fault)
	}
	return d
}

const day = 24 * time.Hour

var wholeDays = regexp.MustCompile(`^([0-9]{1,6})d`)

// readDuration reads a duration with units: those of time.ParseDuration, and d
// for days in front of them.
func readDuration(s string, least, most time.Duration) (d time.Duration, fault string) {
	bare, err := strconv.ParseFloat(s, 64)
	if err == nil && !math.IsNaN(bare) {
		return 0, shown(s) + " has no unit: write it as in 90s, 15m, 1h or 400d"
	}
	rest := s
	if m := wholeDays.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1]) // six digits
		if n > int(math.MaxInt64/day)/2 {
			return 0, shown(s) + " is out of range: write a duration from " + words(least) + " to " + words(most)
		}
		d, rest = time.Duration(n)*day, s[len(m[0]):]
	}
	if rest != "" || s == "" {
		more, err := time.ParseDuration(rest)
		if err != nil || rest[0] == '-' || rest[0] == '+' {
			return 0, shown(s) + " is not a duration: write it as in 90s, 15m, 1h or 400d"
		}
		d += more
	}
	if d < least || d > most {
		return 0, shown(s) + " is out of range: write a duration from " + words(least) + " to " + words(most)
	}
	return d, ""
}

// words is a bound of a duration as an operator would write it.
func words(d time.Duration) string {
	switch {
	case d >= 2*day && d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	default:
		return d.String()
	}
}

func (v view) zone(key string) *time.Location {
	s := v.text(key)
	// LoadLocation takes "" for UTC and "Local" for whatever the host says.
	zone, err := time.LoadLocation(s)
	if err != nil || s == "" || s == "Local" {
		v.bad(key, "%s is not a time zone of this system: write one such as Africa/Nairobi or UTC", shown(s))
		return time.UTC
	}
	return zone
}

func (v view) country(key string) string {
	s := v.text(key)
	if phonenumbers.GetCountryCodeForRegion(s) == 0 {
		v.bad(key, "%s is not a country: write its two capital letters, such as KE", shown(s))
		return ""
	}
	return s
}

// store reads the path of the file, or the address of the database, that is the store.
func (v view) store(key string) string {
	s := v.text(key)
	if err := CheckStore(s); err != nil {
		v.bad(key, "%v", err)
		return ""
	}
	return s
}

// baseURL reads the address of a service. Credentials go with each call, so it
// has to be https, but for a stand-in on this host.
func (v view) baseURL(key string) string {
	s := v.text(key)
	if s == "" {
		return ""
	}
	const want = "write an address such as https://api.example.com"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		v.bad(key, "is not a web address: %s", want) // not repeated: it may hold a password
	case u.User != nil:
		v.bad(key, "holds a user or password: %s, and the credentials under their own keys", want)
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "?#"):
		v.bad(key, "has a ? or # part: %s", want)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		v.bad(key, "%s would send the credentials unencrypted: write https://%s", shown(s), u.Host)
	default:
		return strings.TrimRight(s, "/")
	}
	return ""
}

// phone reads an optional phone number, which is never repeated.
func (v view) phone(key string, cfg *Config) reminder.Phone {
	s := v.text(key)
	if s == "" {
		return ""
	}
	p, err := cfg.Phones.Parse(s)
	if err != nil && (cfg.Country != "" || strings.HasPrefix(s, "+")) {
		v.bad(key, "%v", err)
	}
	return p
}
