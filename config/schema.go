package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"duewatch/reminder"
)

// shape is what may stand behind a key.
type shape int

const (
	scalar     shape = iota // one value
	list                    // a list of values
	section                 // known keys
	byLanguage              // languages, each a section
	entries                 // a list of sections
)

// key is one key of the config. Every value is kept as the text that was
// written: account 0123 must not become 123, nor mode off become false.
type key struct {
	name  string
	shape shape
	def   string   // of a scalar
	list  []string // default of a list
	keys  []key    // of section, byLanguage and entries
}

func one(name, def string) key                 { return key{name: name, shape: scalar, def: def} }
func many(name string, def ...string) key      { return key{name: name, shape: list, list: def} }
func group(name string, keys ...key) key       { return key{name: name, shape: section, keys: keys} }
func eachOf(name string, keys ...key) key      { return key{name: name, shape: entries, keys: keys} }
func perLanguage(name string, keys ...key) key { return key{name: name, shape: byLanguage, keys: keys} }

// reminderKeys may stand under reminders: and, for one service, under its
// entry of services:.
var reminderKeys = []key{
	many("days_before", "7", "3", "0"),
	many("days_after"),
	one("send_at", "09:00"),
	one("window", "08:00-18:00"),
	many("skip_weekdays"),
	many("holidays"),
	one("holidays_observances", "false"),
	one("min_balance", "1.00"),
	one("max_balance_age", "1h"),
	one("stale_balance", string(reminder.StaleHold)),
	one("per_number_daily", "1"),
	one("bundle", "true"),
	one("bundle_days", "1"),
	one("language", "en"),
	perLanguage("templates", one("before", ""), one("after", ""), one("bundle", "")),
}

// schema is every key there is, with its default. What each is for stands in
// config.yaml at the root of the repository.
var schema = group("",
	one("timezone", "Africa/Nairobi"),
	one("currency", "KES"),
	one("country", "KE"),
	group("phones", many("mobile_prefixes")),
	one("store", "duewatch.db"),
	one("store_password", ""),
	one("store_password_file", ""),
	group("almara",
		one("base_url", ""),
		one("token_path", "/v1/oauth/token"),
		one("token_encoding", "json"),
		one("scope", ""),
		one("client_id", ""),
		one("client_secret", ""),
		one("client_secret_file", ""),
		one("recheck_with", "register"),
		one("share_phone", "true"),
		one("timeout", "30s"),
		one("rate", "20"),
		one("concurrency", "16"),
	),
	group("notifier",
		one("mode", string(reminder.ModeOff)),
		many("allowlist"),
		one("redirect_to", ""),
		one("provider", "twilio"),
		one("timeout", "35s"),
		one("segments_per_second", "8"),
		one("concurrency", "4"),
		one("max_segments", "2"),
		one("price_per_segment", ""),
		many("reconcile_after", "2m", "15m"),
		one("unknown", "resend"),
		group("twilio",
			one("account_sid", ""),
			one("auth_token", ""),
			one("auth_token_file", ""),
			one("api_key_sid", ""),
			one("api_key_secret", ""),
			one("api_key_secret_file", ""),
			one("from", ""),
			one("messaging_service_sid", ""),
			one("base_url", ""),
		),
	),
	group("reminders", reminderKeys...),
	group("guards",
		one("max_texts_per_day", "0"),
		one("surge", "10"),
		one("surge_from", "1000"),
		one("implausible_balance", "10"),
		one("implausible_from", "10000.00"),
		one("monthly_segments", "0"),
		one("max_failure_rate", "50%"),
		one("max_removed", "20%"),
	),
	group("schedule",
		one("register", "@every 1m"),
		one("recheck", "*/10 * * * *"),
		one("remind", "* * * * *"),
		one("receipts", "*/5 * * * *"),
		one("housekeeping", "15 2 * * *"),
	),
	eachOf("services", append([]key{one("id", ""), one("name", ""), one("pay", "")}, reminderKeys...)...),
	eachOf("bills", one("service", ""), one("account", ""), one("phone", ""), one("description", ""), one("language", "")),
	one("bills_file", ""),
	one("bills_sheet", ""),
	group("bills_columns", one("service", ""), one("account", ""), one("phone", ""), one("description", ""), one("language", "")),
	one("bills_service", ""),
	many("bills_ignore_columns"),
	one("bills_as_written", "false"),
	group("web",
		one("listen", "127.0.0.1:8750"),
		one("token", ""),
		one("token_file", ""),
		one("public_url", ""),
		one("callbacks_listen", "127.0.0.1:8752"),
	),
	group("log",
		one("level", "info"),
		one("format", "text"),
	),
	group("alerts",
		one("heartbeat_url", ""),
		one("heartbeat_url_file", ""),
		many("urls"),
		one("urls_file", ""),
		one("digest_at", "07:30"),
	),
	one("retention", "400d"),
	one("words_retention", "400d"),
)

// languageName is the form of a language: ISO 639, as in "en" and "sw".
var languageName = regexp.MustCompile(`^[a-z]{2,3}$`)

// child finds the key of that name below k; a language is its own section.
func (k key) child(name string) (key, bool) {
	if k.shape == byLanguage {
		return group(name, k.keys...), languageName.MatchString(name)
	}
	i := slices.IndexFunc(k.keys, func(c key) bool { return c.name == name })
	if i < 0 {
		return key{}, false
	}
	return k.keys[i], true
}

// defaults is the first layer: the path of each key with its default.
// Lists of entries have none.
func defaults() map[string]any {
	out := map[string]any{}
	var walk func(prefix string, k key)
	walk = func(prefix string, k key) {
		for _, c := range k.keys {
			switch path := join(prefix, c.name); c.shape {
			case scalar:
				out[path] = c.def
			case list:
				out[path] = c.list
			case section:
				walk(path, c)
			case byLanguage:
				texts := reminder.DefaultTemplates()
				for _, language := range slices.Sorted(maps.Keys(texts)) {
					out[join(path, language, "before")] = texts[language].Before
					out[join(path, language, "after")] = texts[language].After
					out[join(path, language, "bundle")] = texts[language].Bundle
				}
			case entries:
			}
		}
	}
	walk("", schema)
	return out
}

// paths lists every key in the order of the schema, a language as "*".
func paths(prefix string, k key) []string {
	var out []string
	for _, c := range k.keys {
		path := join(prefix, c.name)
		out = append(out, path)
		if c.shape == byLanguage {
			path = join(path, "*")
		}
		out = append(out, paths(path, c)...)
	}
	return out
}

// join is the path of a key below others.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ".")
}
