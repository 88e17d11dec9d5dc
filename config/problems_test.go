package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// badSchedule stands for the scheduler's own check.
func badSchedule(s string) error {
	if strings.HasPrefix(s, "@every ") || len(strings.Fields(s)) == 5 {
		return nil
	}
	return errors.New("expected exactly 5 fields")
}

// problemCase is a file, an environment and every problem they have.
type problemCase struct {
	name string
	yaml string
	env  []string
	want []string
}

func (tc problemCase) run(t *testing.T) {
	t.Run(tc.name, func(t *testing.T) {
		opts := sandbox(tc.env...)
		opts.CheckSchedule = badSchedule
		_, err := load("config.yaml", []byte(tc.yaml), opts)
		if diff := cmp.Diff(tc.want, problemsOf(t, err)); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
	})
}

func TestProblems(t *testing.T) {
	const (
		sid   = "00000000000000000000000000000001"
		alike = "can give two texts of one phone the same words, so that one that was lost would pass for sent: "
	)
	for _, tc := range []problemCase{
		// Keys.
		{name: "unknown key", yaml: "reminders:\n  days_befor: [1]\n", want: []string{
			"config.yaml:2: reminders.days_befor: unknown key, did you mean days_before?"}},
		{name: "unknown key at the top", yaml: "timezones: UTC\n", want: []string{
			"config.yaml:1: timezones: unknown key, did you mean timezone?"}},
		{name: "dash for underscore", yaml: "reminders: {send-at: '09:00'}\n", want: []string{
			"config.yaml:1: reminders.send-at: unknown key, did you mean send_at?"}},
		{name: "key in the wrong place", yaml: "send_at: '09:00'\n", want: []string{
			"config.yaml:1: send_at: unknown key, did you mean reminders.send_at? Look at the indent"}},
		{name: "key like no other", yaml: "log: {zzzzzz: 1}\n", want: []string{
			"config.yaml:1: log.zzzzzz: unknown key: write one of level, format"}},
		{name: "phone or secret as a key is not repeated", yaml: "'+254710000003': x\n'hunter2 hunter2': x\n", want: []string{
			"config.yaml:1: (not a name): unknown key",
			"config.yaml:2: (not a name): unknown key"}},
		{name: "language that is none", yaml: "reminders: {templates: {English: {before: x}}}\n", want: []string{
			"config.yaml:1: reminders.templates.English: unknown key: write a language of two or three small letters, such as en"}},
		{name: "key written twice", yaml: "store: a.db\nlog: {level: info}\nstore: b.db\n", want: []string{
			"config.yaml:3: store: is written twice, first in line 1: keep one"}},

		// Shapes.
		{name: "list for a value", yaml: "store: [a, b]\n", want: []string{
			"config.yaml:1: store: is a list or a group of keys: write one value"}},
		{name: "value for a list", yaml: "reminders:\n  days_before: 7\n", want: []string{
			"config.yaml:2: reminders.days_before: is not a list: write [one, another], or one item a line after a dash"}},
		{name: "value for a section", yaml: "almara: https://example.com\n", want: []string{
			"config.yaml:1: almara: is one value: write its keys below it, one a line as key: value"}},
		{name: "list for a section", yaml: "almara:\n  - base_url: x\n", want: []string{
			"config.yaml:2: almara: is a list: write its keys below it, one a line as key: value"}},
		{name: "list in a list", yaml: "reminders: {holidays: [[2026-01-01]]}\n", want: []string{
			"config.yaml:1: reminders.holidays[0]: is a list or a group of keys: write one value"}},
		{name: "no value", yaml: "store:\n", want: []string{
			"config.yaml:1: store: has no value: write one, in quotes when it has a #, or remove the line to keep the default"}},
		{name: "list without items", yaml: "bills:\n", want: []string{
			"config.yaml:1: bills: has no value: write [] for an empty list, or remove the line to keep the default"}},
		{name: "section without keys is none", yaml: "almara:\nlog: {}\n"},
		{name: "empty file", yaml: "# nothing\n"},
		{name: "whole file is a value", yaml: "hello\n", want: []string{
			"config.yaml:1: is one value: write its keys below it, one a line as key: value"}},
		{name: "bill that is a value", yaml: "bills:\n  - 12345\n", want: []string{
			"config.yaml:2: bills[0]: is one value: write its keys below it, one a line as key: value"}},

		// YAML.
		{name: "broken YAML, and no guess at what is missing", yaml: "almara:\n  base_url: \"x\n", want: []string{
			"config.yaml:2: is not YAML here or in the lines just around: found unexpected end of stream; check the indent, and quote values with : # * & ! { [ or @"}},
		{name: "tab", yaml: "almara:\n\trate: 1\n", want: []string{
			"config.yaml:2: is not YAML here or in the lines just around: found character that cannot start any token; check the indent, and quote values with : # * & ! { [ or @"}},
		{name: "alias is not repeated", yaml: "store: a\nalmara: {client_secret: *hunter2}\n", want: []string{
			"config.yaml:1: is not YAML here or in the lines just around: unknown anchor … referenced; check the indent, and quote values with : # * & ! { [ or @"}},
		{name: "anchor and alias", yaml: "almara: {timeout: &t 30s}\nnotifier: {timeout: *t}\n", want: []string{
			"config.yaml:1: almara.timeout: anchors and aliases (& and *) are not used here: write the value out, in quotes when it starts with such a sign",
			"config.yaml:2: notifier.timeout: anchors and aliases (& and *) are not used here: write the value out, in quotes when it starts with such a sign"}},
		{name: "merge", yaml: "log:\n  <<: {level: info}\n", want: []string{
			"config.yaml:2: log: merge keys (<<) are not used here: write the values out"}},
		{name: "tag", yaml: "almara: {client_secret: !hunter2 x}\n", want: []string{
			"config.yaml:1: almara.client_secret: YAML tags (!) are not used here: remove it, or quote a value that starts with !"}},
		{name: "two documents", yaml: "store: a.db\n---\nstore: b.db\n", want: []string{
			"config.yaml:2: a second YAML document starts here: keep one, and remove the line ---"}},
		{name: "control character", yaml: "store: a.db\nscope: \x01\n", want: []string{
			"config.yaml:2: holds a control character: remove it"}},
		{name: "not UTF-8", yaml: "\nstore: caf\xe9\n", want: []string{
			"config.yaml:2: is not UTF-8 text: save the file as UTF-8"}},

		// Single values.
		{name: "top level", yaml: "timezone: Nairobi\ncurrency: Ksh\ncountry: Kenya\nretention: 30d\n", want: []string{
			`config.yaml:1: timezone: "Nairobi" is not a time zone of this system: write one such as Africa/Nairobi or UTC`,
			`config.yaml:2: currency: "Ksh" is not one: write the three capital letters of a currency, such as KES`,
			`config.yaml:3: country: "Kenya" is not a country: write its two capital letters, such as KE`,
			`config.yaml:4: retention: "30d" is out of range: write a duration from 90d to 3650d`}},
		{name: "zone of the host", yaml: "timezone: Local\n", want: []string{
			`config.yaml:1: timezone: "Local" is not a time zone of this system: write one such as Africa/Nairobi or UTC`}},
		{name: "durations", yaml: "almara:\n  timeout: 90\nnotifier:\n  timeout: soon\nreminders:\n  max_balance_age: -1h\nretention: 9999999d\n", want: []string{
			`config.yaml:2: almara.timeout: "90" has no unit: write it as in 90s, 15m, 1h or 400d`,
			`config.yaml:4: notifier.timeout: "soon" is not a duration: write it as in 90s, 15m, 1h or 400d`,
			`config.yaml:6: reminders.max_balance_age: "-1h" is not a duration: write it as in 90s, 15m, 1h or 400d`,
			`config.yaml:7: retention: "9999999d" is not a duration: write it as in 90s, 15m, 1h or 400d`}},
		{name: "zero without unit", yaml: "reminders: {max_balance_age: 0}\n", want: []string{
			`config.yaml:1: reminders.max_balance_age: "0" has no unit: write it as in 90s, 15m, 1h or 400d`}},
		{name: "duration out of range", yaml: "notifier: {timeout: 10s}\n", want: []string{
			`config.yaml:1: notifier.timeout: "10s" is out of range: write a duration from 30s to 5m`}},
		{name: "numbers", yaml: "almara:\n  rate: fast\n  concurrency: 0\nnotifier:\n  segments_per_second: NaN\n  max_segments: 1.5\n", want: []string{
			`config.yaml:2: almara.rate: "fast" is not a number: write one from 0.1 to 100000`,
			`config.yaml:3: almara.concurrency: "0" is out of range: write a number from 1 to 256`,
			`config.yaml:5: notifier.segments_per_second: "NaN" is not a number: write one from 0.1 to 100000`,
			`config.yaml:6: notifier.max_segments: "1.5" is not a whole number: write one from 1 to 10`}},
		{name: "choices", yaml: "almara: {token_encoding: xml, recheck_with: get}\nnotifier: {mode: \"on\", provider: nexmo, unknown: retry}\nreminders: {stale_balance: wait}\nlog: {level: trace, format: xml}\n", want: []string{
			`config.yaml:1: almara.token_encoding: "xml" is none of the choices: write json or form`,
			`config.yaml:1: almara.recheck_with: "get" is none of the choices: write register or lookup`,
			`config.yaml:2: notifier.mode: "on" is none of the choices: write off, allowlist, redirect or live`,
			`config.yaml:2: notifier.provider: "nexmo" is none of the choices: write twilio`,
			`config.yaml:2: notifier.unknown: "retry" is none of the choices: write resend or hold`,
			`config.yaml:3: reminders.stale_balance: "wait" is none of the choices: write hold, send_without_amount or skip`,
			`config.yaml:4: log.format: "xml" is none of the choices: write text or json`,
			`config.yaml:4: log.level: "trace" is none of the choices: write debug, info, warn or error`}},
		{name: "store", yaml: "store: postgres://user:hunter2@db/duewatch\n", want: []string{
			"config.yaml:1: store: holds a password, which would be seen in logs and lists of processes: leave it out, and write it into a file that store_password_file names, or give the credential store_password"}},
		{name: "store with a password behind", yaml: "store: postgres://user@db/duewatch?password=hunter2\n", want: []string{
			"config.yaml:1: store: holds a password, which would be seen in logs and lists of processes: leave it out, and write it into a file that store_password_file names, or give the credential store_password"}},
		{name: "store without a role", yaml: "store: postgres://db/duewatch\n", want: []string{
			"config.yaml:1: store: names no role: write postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full"}},
		{name: "store without a database", yaml: "store: postgres://user@db\n", want: []string{
			"config.yaml:1: store: names no database: write postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full"}},
		{name: "store without a host", yaml: "store: postgres://user@/duewatch\n", want: []string{
			"config.yaml:1: store: names no host: write postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full"}},
		{name: "store that is no address", yaml: "store: 'postgres://user:hunter2@[::1/duewatch'\n", want: []string{
			"config.yaml:1: store: is not an address: write postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full"}},
		{name: "store of another kind", yaml: "store: mysql://user:hunter2@db/duewatch\n", want: []string{
			"config.yaml:1: store: is neither the path of a file nor the address of a database: write one such as /var/lib/duewatch/duewatch.db, without ? or file:, or postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full"}},
		{name: "store in memory", yaml: "store: ':memory:'\n", want: []string{
			`config.yaml:1: store: ":memory:" would forget at each restart who was texted: write the path of a file, such as duewatch.db`}},
		{name: "store is a directory", yaml: "store: /var/lib/duewatch/\n", want: []string{
			`config.yaml:1: store: "/var/lib/duewatch/" is a directory: write the path of a file in it, such as /var/lib/duewatch/duewatch.db`}},
		{name: "schedule", yaml: "schedule:\n  remind: hourly\n  recheck: ''\n", want: []string{
			`config.yaml:2: schedule.remind: "hourly" is not a cron expression (expected exactly 5 fields): write minute, hour, day, month and weekday, such as "*/10 * * * *", or "@every 10m"`,
			`config.yaml:3: schedule.recheck: is empty: write minute, hour, day, month and weekday, such as "*/10 * * * *", or "@every 10m"`}},

		// Addresses.
		{name: "base URL", yaml: "almara: {base_url: 'http://api.example.com'}\nnotifier: {twilio: {base_url: 'ftp://x'}}\n", want: []string{
			`config.yaml:1: almara.base_url: "http://api.example.com" would send the credentials unencrypted: write https://api.example.com`,
			"config.yaml:2: notifier.twilio.base_url: is not a web address: write an address such as https://api.example.com"}},
		{name: "base URL on this host", yaml: "almara: {base_url: 'http://127.0.0.1:1'}\nnotifier: {twilio: {base_url: 'http://[::1]:2'}}\n"},
		{name: "password in the base URL", yaml: "almara: {base_url: 'https://me:hunter2@example.com', token_path: oauth}\n", want: []string{
			"config.yaml:1: almara.base_url: holds a user or password: write an address such as https://api.example.com, and the credentials under their own keys",
			`config.yaml:1: almara.token_path: "oauth" is not a path: write one that starts with /, such as /v1/oauth/token`}},
		{name: "listen", yaml: "web: {listen: '8750'}\n", want: []string{
			`config.yaml:1: web.listen: "8750" is not host:port: write an address such as 127.0.0.1:8750`}},
		{name: "listen to everybody", yaml: "web:\n  listen: ':8750'\n", want: []string{
			`config.yaml:2: web.listen: ":8750" can be reached from other hosts, and no token protects it: write 127.0.0.1:8750, or give the credential web_token or web.token_file`}},
		{name: "listen to everybody with a token", yaml: "web: {listen: ':8750', token: 0123456789abcdef}\n"},
		{name: "a public URL", yaml: "web: {public_url: 'https://reminders.example.com:8443/duewatch/'}\nnotifier: {twilio: {auth_token: 0123456789abcdef}}\n"},
		{name: "a public URL on this machine, for the sandbox", yaml: "web: {public_url: 'http://127.0.0.1:8751'}\nnotifier: {twilio: {auth_token: abc}}\n"},
		{name: "a public URL beside an API key and the token", yaml: "web: {public_url: 'https://reminders.example.com'}\n" +
			"notifier: {twilio: {auth_token: abc, api_key_sid: SK0123456789abcdef0123456789abcdef, api_key_secret: abc}}\n"},
		{name: "a public URL that is none", yaml: "web: {public_url: reminders.example.com}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			"config.yaml:1: web.public_url: is not a web address: write the address at which Twilio reaches this host, such as https://reminders.example.com"}},
		{name: "a public URL that is not encrypted", yaml: "web: {public_url: 'http://reminders.example.com'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			`config.yaml:1: web.public_url: "http://reminders.example.com" is not encrypted, and phones and words of customers come that way: write https://reminders.example.com`}},
		{name: "a public URL with a path of ours", yaml: "web: {public_url: 'https://reminders.example.com/twilio/status'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			`config.yaml:1: web.public_url: "https://reminders.example.com/twilio/status" names the path, which duewatch adds by itself: leave /twilio/… out`}},
		{name: "a public URL with more than an address", yaml: "web: {public_url: 'https://me:hunter2@example.com/?a=b'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			"config.yaml:1: web.public_url: holds a user or password: write the address at which Twilio reaches this host, such as https://reminders.example.com"}},
		{name: "a public URL with a query", yaml: "web: {public_url: 'https://example.com/?a=b'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			"config.yaml:1: web.public_url: has a ? or # part: write the address at which Twilio reaches this host, such as https://reminders.example.com"}},
		{name: "a public URL that Twilio refuses", yaml: "web: {public_url: 'https://due_watch.example.com'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			`config.yaml:1: web.public_url: "https://due_watch.example.com" has an underscore in its name, which Twilio refuses (21609): ` +
				"write the address at which Twilio reaches this host, such as https://reminders.example.com"}},
		{name: "callbacks where nobody can listen", yaml: "web: {callbacks_listen: '8752'}\n", want: []string{
			`config.yaml:1: web.callbacks_listen: "8752" is not host:port: write an address such as 127.0.0.1:8752`}},
		{name: "a public URL with a path that proxies rewrite", yaml: "web: {public_url: 'https://example.com/{a}/%41'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			`config.yaml:1: web.public_url: "https://example.com/{a}/%41" has a path with other than letters, digits, - and _ in it: ` +
				"write the address at which Twilio reaches this host, such as https://reminders.example.com"}},
		{name: "health where callbacks would be", yaml: "web: {listen: '127.0.0.1:8752'}\n"},
		{name: "callbacks beside health", yaml: "web: {callbacks_listen: '127.0.0.1:8750', public_url: 'https://example.com'}\nnotifier: {twilio: {auth_token: abc}}\n", want: []string{
			"config.yaml:1: web.callbacks_listen: is the address of web.listen, which must stay apart: write another port"}},
		{name: "short token", yaml: "web: {listen: ':8750', token: hunter2}\n", want: []string{
			"config.yaml:1: web.token: is too short: use at least 16 characters, such as openssl rand -hex 16 prints"}},

		// Policies.
		{name: "days", yaml: "reminders:\n  days_before: [7, 7, 61, -1, x]\n  days_after:\n    - 0\n    - 2\n    - 2\n", want: []string{
			`config.yaml:2: reminders.days_before[1]: "7" is on the list twice: keep one`,
			`config.yaml:2: reminders.days_before[2]: "61" is out of range: write days from 0 to 60, without a sign`,
			`config.yaml:2: reminders.days_before[3]: "-1" is out of range: write days from 0 to 60, without a sign`,
			`config.yaml:2: reminders.days_before[4]: "x" is not a number of days: write whole days, such as [7, 3, 0]`,
			`config.yaml:4: reminders.days_after[0]: 0 is the due date itself: write it in days_before`,
			`config.yaml:6: reminders.days_after[2]: "2" is on the list twice: keep one`}},
		{name: "no days", yaml: "reminders: {days_before: []}\n", want: []string{
			"config.yaml:1: reminders.days_before: is empty, and days_after too: no reminder would ever be sent; write days, such as [7, 3, 0]"}},
		{name: "hours", yaml: "reminders:\n  send_at: 9am\n  window: 18:00-08:00\n", want: []string{
			`config.yaml:2: reminders.send_at: "9am" is not a time of day: write HH:MM, 00:00 to 24:00`,
			`config.yaml:3: reminders.window: "18:00-08:00" ends before it begins: write the earlier time first, both on one day`}},
		{name: "hour outside the window", yaml: "reminders:\n  send_at: 18:00\n", want: []string{
			"config.yaml:2: reminders.send_at: send_at 18:00 is not in the window 08:00-18:00: write a time in it, or widen the window"}},
		{name: "window that leaves the default hour out", yaml: "reminders:\n  window: 10:00-12:00\n", want: []string{
			"config.yaml:2: reminders.window: send_at 09:00 is not in the window 10:00-12:00: write a time in it, or widen the window"}},
		{name: "hour of reminders outside the window of a service", yaml: "reminders: {send_at: '09:30'}\nservices:\n- id: 1\n  name: A\n  window: 10:00-12:00\n", want: []string{
			"config.yaml:5: services[0].window: send_at 09:30 is not in the window 10:00-12:00: write a time in it, or widen the window"}},
		{name: "short window", yaml: "reminders: {window: '09:00-09:01'}\n", want: []string{
			"config.yaml:1: reminders.window: 09:00-09:01 is open for only 1m: write at least 15m, or texts that wait their turn are never sent"}},
		{name: "silent days", yaml: "reminders:\n  skip_weekdays: [sun, Sunday, funday]\n  holidays:\n  - 25/12/2026\n  - 2026-02-30\n", want: []string{
			`config.yaml:2: reminders.skip_weekdays[1]: "Sunday" is on the list twice: keep one`,
			`config.yaml:2: reminders.skip_weekdays[2]: "funday" is not a weekday: write mon, tue, wed, thu, fri, sat or sun`,
			`config.yaml:4: reminders.holidays[0]: "25/12/2026" is neither a date nor a calendar: write YYYY-MM-DD, such as 2026-12-25, or the path of a file that ends in .ics`,
			`config.yaml:5: reminders.holidays[1]: "2026-02-30" is neither a date nor a calendar: write YYYY-MM-DD, such as 2026-12-25, or the path of a file that ends in .ics`}},
		{name: "whole week silent", yaml: "reminders: {skip_weekdays: [mon, tue, wed, thu, fri, sat, sun], holidays: [2026-12-25]}\n", want: []string{
			"config.yaml:1: reminders.skip_weekdays: names all seven days: no reminder could be sent; leave one out"}},
		{name: "amounts and counts", yaml: "reminders:\n  min_balance: KES 5\n  per_number_daily: 0\n", want: []string{
			`config.yaml:2: reminders.min_balance: "KES 5" is not an amount: write digits with a decimal point, such as 1250.50`,
			`config.yaml:3: reminders.per_number_daily: "0" is out of range: write a number from 1 to 100`}},
		{name: "negative amount", yaml: "reminders: {min_balance: -1}\n", want: []string{
			`config.yaml:1: reminders.min_balance: "-1" is negative: write 0 or more`}},
		{name: "price", yaml: "notifier: {price_per_segment: \"0.80\"}\n"},
		{name: "no price", yaml: "notifier: {price_per_segment: \"0.00\"}\n", want: []string{
			`config.yaml:1: notifier.price_per_segment: "0.00" is no price: write one such as "0.80", or "" when it is not known`}},
		{name: "price with a currency", yaml: "notifier: {price_per_segment: KES 1}\n", want: []string{
			`config.yaml:1: notifier.price_per_segment: "KES 1" is not an amount: write digits with a decimal point, such as 1250.50`}},
		{name: "language without templates", yaml: "reminders: {language: fr}\n", want: []string{
			`config.yaml:1: reminders.language: "fr" has no templates: write en or sw, or add its texts under templates`}},
		{name: "half a language", yaml: "reminders:\n  templates:\n    fr:\n      before: Bonjour\n", want: []string{
			"config.yaml:3: reminders.templates.fr.after: is empty: write the text, or leave the language out"}},
		{name: "half a language of a service", yaml: "services:\n- id: 1\n  name: A\n  templates:\n    fr: {before: '{{.Account}} {{.DueDate}} {{.Days}}'}\n", want: []string{
			"config.yaml:5: services[0].templates.fr.after: is empty: write the text, or leave the language out"}},

		{name: "texts that are alike", yaml: "reminders:\n  days_after: [2]\n  templates:\n    en:\n      before: Pay {{.Amount}}\n    fr: {before: '{{.Account}} {{.DueDate}}', after: '{{.Account'}\n", want: []string{
			"config.yaml:5: reminders.templates.en.before: " + alike + "for two accounts (name .Account in full); for the stages 7 days before and 3 days before (name .When or .Days); for two due dates (name .DueDate)",
			"config.yaml:6: reminders.templates.fr.after: template: text:1: unclosed action"}},
		{name: "texts that are alike in the days of a service", yaml: "reminders:\n  days_before: [3]\n  templates:\n    en: {before: '{{.Account}} {{.DueDate}}'}\nservices:\n- {id: 1, name: A, days_before: [5, 2]}\n- id: 2\n  name: B\n  templates: {sw: {before: '{{.When}} {{.DueDate}}'}}\n", want: []string{
			"config.yaml:4: reminders.templates.en.before: " + alike + "for the stages 5 days before and 2 days before (name .When or .Days)",
			"config.yaml:9: services[1].templates.sw.before: " + alike + "for two accounts (name .Account in full)"}},
		{name: "texts that are alike for one service by its name", yaml: "reminders:\n  templates:\n    en: {before: '{{if ne .Service \"B\"}}{{.Service}} {{.Account}}{{end}} {{.When}} {{.DueDate}}'}\nservices:\n- {id: 1, name: A}\n- {id: 2, name: B}\n- {id: 3, name: C}\n", want: []string{
			"config.yaml:3: reminders.templates.en.before: " + alike + "for two accounts (name .Account in full)"}},
		{name: "texts of two services that are alike", yaml: "reminders:\n  templates:\n    en: {before: '{{.Account}} {{.When}} {{.DueDate}}'}\nservices:\n- {id: 1, name: A}\n- {id: 2, name: B}\n", want: []string{
			`config.yaml:3: reminders.templates.en.before: can give the same words for one account number of the services "1" and "2", so that a text that was lost would pass for sent: name .Service`}},
		{name: "services of one name", yaml: "services:\n- {id: 1, name: A}\n- {id: 2, name: A, language: sw}\n", want: []string{
			`config.yaml:3: services[1].name: "A" is the name of service "1" too: write another one, or customers cannot tell their texts apart`}},
		{name: "texts of no stage may be alike", yaml: "reminders: {templates: {en: {after: Pay.}}}\n"},

		// What later versions do.
		{name: "bundle is a flag", yaml: "reminders: {bundle: yes}\n", want: []string{
			`config.yaml:1: reminders.bundle: "yes" is none of the choices: write false or true`}},
		{name: "bundle of many days", yaml: "reminders:\n  bundle_days: 8\n", want: []string{
			`config.yaml:2: reminders.bundle_days: "8" is out of range: write a number from 0 to 7`}},
		{name: "bundles that are alike", yaml: "reminders:\n  templates:\n    en: {bundle: '{{range .Bills}}{{.When}} {{.DueDate}}{{end}}'}\n", want: []string{
			"config.yaml:3: reminders.templates.en.bundle: " + alike + "for two accounts (name .Account of each of .Bills in full)"}},
		{name: "a bundle with a name that is none", yaml: "reminders:\n  templates:\n    en: {bundle: '{{range .Bills}}{{.Acount}}{{end}}'}\n", want: []string{
			"config.yaml:3: reminders.templates.en.bundle: names .Acount, which does not exist: use .Customer, .Count, .Total, .PayIfRoom, .Bills, .Service, .Account, .Description, .Amount, .DueDate, .When, .Days, .Pay"}},
		{name: "no bundle in a language of one's own", yaml: "reminders: {templates: {fr: {before: '{{.Account}} {{.Days}} {{.DueDate}}', after: '{{.Account}} {{.Days}} {{.DueDate}}'}}}\n"},
		{name: "allowlist", yaml: "notifier:\n  mode: allowlist\n", want: []string{
			"config.yaml:1: notifier.allowlist: is not set: mode allowlist needs the phones that may be texted, such as [+254710000001]"}},
		{name: "redirect", yaml: "notifier: {mode: redirect, redirect_to: ''}\n", want: []string{
			"config.yaml:1: notifier.redirect_to: is not set: mode redirect needs the phone that gets every text, such as +254710000001"}},
		{name: "phones are not repeated", yaml: "notifier:\n  redirect_to: 07100000031\n  allowlist:\n  - 0710000003\n  - '+254710000003'\n  - 07100x0003\n", want: []string{
			"config.yaml:2: notifier.redirect_to: is not a valid number in country KE: write it with its country code, such as +254710000000",
			"config.yaml:5: notifier.allowlist[1]: is on the list twice: keep one",
			`config.yaml:6: notifier.allowlist[2]: has the character 'x': write one number, digits only, such as +254710000000`}},
		{name: "reconcile", yaml: "notifier:\n  reconcile_after: [15m, 2m, 10]\n", want: []string{
			`config.yaml:2: notifier.reconcile_after[1]: "2m" is not later than the one before it: write them in order, such as [2m, 15m]`,
			`config.yaml:2: notifier.reconcile_after[2]: "10" has no unit: write it as in 90s, 15m, 1h or 400d`}},
		{name: "one delay is not enough to resend", yaml: "notifier: {reconcile_after: [5m]}\n", want: []string{
			"config.yaml:1: notifier.reconcile_after: has one duration, which is not enough to send a text again: write two, such as [2m, 15m], or set notifier.unknown to hold"}},
		{name: "one delay and hold", yaml: "notifier: {reconcile_after: [5m], unknown: hold}\n"},
		{name: "no delay", yaml: "notifier: {reconcile_after: []}\n", want: []string{
			"config.yaml:1: notifier.reconcile_after: has 0 durations: write 1 to 6, such as [2m, 15m]"}},
		{name: "ids of Twilio are not repeated", yaml: "notifier:\n  twilio:\n    account_sid: hunter2\n    api_key_sid: SK" + sid + "0\n    messaging_service_sid: AC" + sid + "\n", want: []string{
			"config.yaml:3: notifier.twilio.account_sid: does not have the right form: write AC and 32 digits or letters a to f, from the Twilio console",
			"config.yaml:4: notifier.twilio.api_key_sid: does not have the right form: write SK and 32 digits or letters a to f, from the Twilio console",
			"config.yaml:5: notifier.twilio.messaging_service_sid: does not have the right form: write MG and 32 digits or letters a to f, from the Twilio console"}},
		{name: "two senders, two ways to sign in", yaml: "notifier:\n  twilio:\n    from: '+254710000001'\n    messaging_service_sid: MG" + sid + "\n    auth_token: abc\n    api_key_sid: SK" + sid + "\n    api_key_secret: def\n", want: []string{
			"config.yaml:4: notifier.twilio.messaging_service_sid: is set beside notifier.twilio.from: keep one",
			"config.yaml:6: notifier.twilio.api_key_sid: an API key is set beside notifier.twilio.auth_token: keep one of them"}},
		{name: "sender", yaml: "notifier: {twilio: {from: Nairobi Water Company}}\n", want: []string{
			"config.yaml:1: notifier.twilio.from: is no sender: write a number with + and country code, or a registered name of at most 11 letters, digits and spaces"}},
		{name: "token with a sign in it", yaml: "notifier: {twilio: {auth_token: hunter-2}}\n", want: []string{
			"config.yaml:1: notifier.twilio.auth_token: holds more than letters and digits, which a secret of Twilio's never does: copy it again from the console"}},

		// Services and bills.
		{name: "service", yaml: "services:\n  - id: 1\n  - id: 1\n    name: Water\n  - name: x\n    days_befor: []\n", want: []string{
			"config.yaml:2: services[0].name: is not set: every entry needs one",
			`config.yaml:3: services[1].id: "1" is listed twice, first in line 2: keep one`,
			"config.yaml:5: services[2].id: is not set: every entry needs one",
			"config.yaml:6: services[2].days_befor: unknown key, did you mean days_before?"}},
		{name: "how a service is paid", yaml: "services:\n" +
			"- {id: 1, name: A, pay: 'Paybill {{.Account}}'}\n" +
			"- {id: 2, name: B, pay: 'Paybill 888880 ✓'}\n" +
			"- {id: 3, name: C, pay: 12345678901234567890123456789012345678901}\n" +
			"- {id: 4, name: D, pay: \"Paybill\\t888880\"}\n" +
			"- {id: 5, name: E, pay: ' Paybill 888880'}\n" +
			"- {id: 6, name: F, pay: [Paybill]}\n" +
			"- {id: 7, name: G, pay: 1234567890123456789012345678901234567890}\n" +
			"- {id: 8, name: H, pay: ''}\n", want: []string{
			"config.yaml:2: services[0].pay: holds a brace: write it as customers read it, such as Paybill 888880; " +
				"the texts name the account beside it",
			"config.yaml:3: services[1].pay: holds the character '✓', which is not in GSM-7 and more than doubles the price of a text: " +
				"write plain letters and digits, such as Paybill 888880",
			"config.yaml:4: services[2].pay: is longer than 40 characters: shorten it",
			"config.yaml:5: services[3].pay: holds a line break or a character that cannot be seen: remove it",
			"config.yaml:6: services[4].pay: starts or ends with a space: remove it",
			"config.yaml:7: services[5].pay: is a list or a group of keys: write one value"}},
		{name: "pay is of a service", yaml: "reminders: {pay: Paybill 888880}\n", want: []string{
			"config.yaml:1: reminders.pay: unknown key, did you mean services.pay? Look at the indent"}},
		{name: "texts that are alike where there is no room to say how to pay", yaml: "reminders:\n  templates:\n" +
			"    en: {before: '{{.When}} {{.DueDate}}{{with .PayIfRoom}} {{.}} {{$.Account}}{{end}}'}\n" +
			"services:\n- {id: 1, name: A, pay: Paybill 888880}\n", want: []string{
			"config.yaml:3: reminders.templates.en.before: " + alike + "for two accounts (name .Account in full)"}},
		{name: "override of a service", yaml: "services:\n  - id: 1\n    name: Water\n    window: 10:00-12:00\n    days_before: [70]\n    templates: {sw: {after: '{{.Nope'}}\n    language: fr\n", want: []string{
			"config.yaml:4: services[0].window: send_at 09:00 is not in the window 10:00-12:00: write a time in it, or widen the window",
			`config.yaml:5: services[0].days_before[0]: "70" is out of range: write days from 0 to 60, without a sign`,
			"config.yaml:6: services[0].templates.sw.after: template: text:1: unclosed action",
			`config.yaml:7: services[0].language: "fr" has no templates: write en or sw, or add its texts under templates`}},
		{name: "an inherited fault is reported once", yaml: "reminders: {send_at: noon, holidays: [x]}\nservices: [{id: 1, name: A}, {id: 2, name: B}]\n", want: []string{
			`config.yaml:1: reminders.holidays[0]: "x" is neither a date nor a calendar: write YYYY-MM-DD, such as 2026-12-25, or the path of a file that ends in .ics`,
			`config.yaml:1: reminders.send_at: "noon" is not a time of day: write HH:MM, 00:00 to 24:00`}},
		{name: "bill", yaml: "bills:\n  - {service: 1, account: ' 5', phone: 0710000001}\n  - service: 1\n    account: 6\n    phone: 12\n    language: fr\n  - {}\n", want: []string{
			"config.yaml:2: bills[0].account: starts or ends with a space: remove it",
			"config.yaml:5: bills[1].phone: is not a valid number in country KE: write it with its country code, such as +254710000000",
			`config.yaml:6: bills[1].language: "fr" has no templates: write en or sw, or add it under reminders.templates`,
			"config.yaml:7: bills[2].service: is not set: every entry needs one",
			"config.yaml:7: bills[2].account: is not set: every entry needs one",
			"config.yaml:7: bills[2].phone: is not set: every bill needs the number to text, such as +254710000000"}},
		{name: "bill listed twice", yaml: "bills:\n  - {service: 1, account: 5, phone: 0710000001}\n  - {service: 2, account: 5, phone: 0710000001}\n  - {service: '1', account: '5', phone: 0710000002}\n", want: []string{
			"config.yaml:4: bills[2].account: this service and account are listed twice, first in line 2: keep one"}},

		// Environment.
		{name: "environment", env: []string{"DUEWATCH_NOTIFIER__MODE=loud", "DUEWATCH_ALMARA__RATES=1", "DUEWATCH_BILLS=x", "DUEWATCH_ALMARA=x", "DUEWATCH_reminders__send_at=x"}, want: []string{
			"$DUEWATCH_ALMARA: almara: is a group of keys: name one of them, as in DUEWATCH_ALMARA__KEY",
			"$DUEWATCH_ALMARA__RATES: no such key, did you mean rate; DUEWATCH_NOTIFIER__MODE is notifier.mode",
			"$DUEWATCH_BILLS: bills: cannot be set from the environment: write it in the config file",
			`$DUEWATCH_NOTIFIER__MODE: notifier.mode: "loud" is none of the choices: write off, allowlist, redirect or live`,
			"$DUEWATCH_reminders__send_at: is not in capitals: write DUEWATCH_REMINDERS__SEND_AT"}},
		{name: "list in the environment", yaml: "notifier: {allowlist: [0710000001]}\n", env: []string{"DUEWATCH_NOTIFIER__ALLOWLIST=1,0710000002,2"}, want: []string{
			"$DUEWATCH_NOTIFIER__ALLOWLIST: notifier.allowlist[0]: is not a phone number: write it with its country code, such as +254710000000",
			"$DUEWATCH_NOTIFIER__ALLOWLIST: notifier.allowlist[2]: is not a phone number: write it with its country code, such as +254710000000"}},

		// Everything at once, in the order of the file.
		{name: "all at once", yaml: "store: postgres://x\nlog:\n  level: loud\n  colour: red\nalmara:\n  timeout: 1\n", env: []string{"DUEWATCH_STOR=x"}, want: []string{
			"config.yaml:1: store: names no role: write postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full",
			`config.yaml:3: log.level: "loud" is none of the choices: write debug, info, warn or error`,
			"config.yaml:4: log.colour: unknown key: write one of level, format",
			`config.yaml:6: almara.timeout: "1" has no unit: write it as in 90s, 15m, 1h or 400d`,
			"$DUEWATCH_STOR: no such key, did you mean store; DUEWATCH_NOTIFIER__MODE is notifier.mode"}},
	} {
		tc.run(t)
	}
}

func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T is not an *Error: %v", err, err)
	}
	var out []string
	for _, p := range all.Problems {
		out = append(out, p.String())
	}
	if err.Error() != strings.Join(out, "\n") {
		t.Errorf("Error() is not one line a problem:\n%s", err)
	}
	for _, secret := range []string{"hunter2", "710000003"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q got out:\n%s", secret, err)
		}
	}
	return out
}

// Only the daemon has to be told where to go and who it is.
func TestMustBeSet(t *testing.T) {
	const almara = "almara: {base_url: 'https://x.example', client_id: a, client_secret: b}\n"
	for _, tc := range []struct {
		name, yaml string
		want       []string
	}{
		{"nothing set", "", []string{
			"config.yaml: almara.base_url: is not set: write the address of Almara Pay that came with your account, https://…",
			"config.yaml: almara.client_id: is not set: write the client id that Almara Pay gave you",
			"config.yaml: almara.client_secret: is not set: give the credential almara_client_secret, or write almara.client_secret_file"}},
		{"mode off needs no provider", almara, nil},
		{"mode live does", almara + "notifier:\n  mode: live\n", []string{
			"config.yaml:2: notifier.twilio.account_sid: is not set: write the account SID from the Twilio console, AC…",
			"config.yaml:2: notifier.twilio.auth_token: is not set: give the credential twilio_auth_token, or write notifier.twilio.auth_token_file",
			"config.yaml:2: notifier.twilio.from: is not set: write the number or registered name that texts come from, or notifier.twilio.messaging_service_sid"}},
		{"a misspelt mode asks for nothing more", almara + "notifier:\n  mode: alive\n", []string{
			`config.yaml:3: notifier.mode: "alive" is none of the choices: write off, allowlist, redirect or live`}},
		{"a mode without a value asks for nothing more", almara + "notifier:\n  mode:\n", []string{
			"config.yaml:3: notifier.mode: has no value: write one, in quotes when it has a #, or remove the line to keep the default"}},
		{"half an API key", almara + "notifier:\n  mode: live\n  twilio: {account_sid: AC00000000000000000000000000000001, api_key_secret: x, from: X}\n", []string{
			"config.yaml:4: notifier.twilio.api_key_sid: is not set: write the SID of the API key, SK…"}},
		{"a bad value is not missing as well", almara + "notifier:\n  mode: live\n  twilio: {account_sid: x, auth_token: [], from: }\n", []string{
			"config.yaml:4: notifier.twilio.account_sid: does not have the right form: write AC and 32 digits or letters a to f, from the Twilio console",
			"config.yaml:4: notifier.twilio.auth_token: is a list or a group of keys: write one value",
			"config.yaml:4: notifier.twilio.from: has no value: write one, in quotes when it has a #, or remove the line to keep the default"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load("config.yaml", []byte(tc.yaml), Options{Environ: []string{}})
			if diff := cmp.Diff(tc.want, problemsOf(t, err), cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingFileIsAProblem(t *testing.T) {
	_, err := Load("no/such/config.yaml", sandbox())
	want := []string{"no/such/config.yaml: cannot be read: no such file or directory"}
	if diff := cmp.Diff(want, problemsOf(t, err)); diff != "" {
		t.Error(diff)
	}
}

// An API key signs no callback: only the account's auth token does.
func TestCallbacksNeedTheAuthToken(t *testing.T) {
	const problem = "config.yaml:1: web.public_url: needs the account's auth token, by which Twilio signs its callbacks; an API key signs none: " +
		"give the credential twilio_auth_token or notifier.twilio.auth_token_file as well, or leave web.public_url empty"
	const web, key = "web: {public_url: 'https://reminders.example.com'}\n", "api_key_sid: SK0123456789abcdef0123456789abcdef, api_key_secret: abc"
	for yaml, want := range map[string][]string{
		web + "notifier: {twilio: {" + key + "}}\n": {problem},
		web: {problem},
		web + "notifier: {twilio: {auth_token: abc}}\n":              nil,
		web + "notifier: {twilio: {auth_token: abc, " + key + "}}\n": nil,
	} {
		var got []string
		_, err := load("config.yaml", []byte(yaml), Options{Environ: []string{}})
		for _, p := range problemsOf(t, err) {
			if strings.Contains(p, "web.") || strings.Contains(p, "keep one") {
				got = append(got, p)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", yaml, diff)
		}
	}
}
