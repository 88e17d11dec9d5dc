package config

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"

	"duewatch/importer"
	"duewatch/reminder"
)

// Options are the surroundings of a config. The zero Options are those of the daemon,
// except for CheckSchedule
// and CheckAlertURL.
type Options struct {
	// Sandbox permits a missing endpoint, account or credential: the sandbox brings its
	// own. Those that are given are checked.
	Sandbox bool
	// CheckSchedule says what is wrong with a cron expression; nil accepts
	// any. The scheduler knows the syntax.
	CheckSchedule func(string) error
	// CheckAlertURL says what is wrong with a service URL, without repeating it; nil
	// accepts any. The library that calls them knows their forms.
	CheckAlertURL func(string) error
	// Environ is the environment as name=value; nil means os.Environ().
	Environ []string
	// Now is the clock by which holidays are followed; nil means time.Now.
	Now func() time.Time
}

// Load reads the config file at path, "" for none, and what the environment
// adds. Its error is always an *Error.
func Load(path string, opts Options) (*Config, error) {
	if path == "" {
		return load("", nil, opts)
	}
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, &Error{[]importer.Problem{{File: path, Text: "cannot be read: " + importer.WithoutPath(err).Error()}}}
	}
	return load(path, b, opts)
}

// load is Load with the file already read.
func load(name string, file []byte, opts Options) (*Config, error) {
	if opts.Environ == nil {
		opts.Environ = os.Environ()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	found := &problems{}
	doc := &document{name: name, problems: found, places: map[string]place{}}
	merged := koanf.New(".")
	err := errors.Join(
		merged.Load(confmap.Provider(defaults(), "."), nil),
		merged.Load(rawbytes.Provider(file), doc),
		merged.Load(env.Provider(".", env.Opt{
			Prefix:        envPrefix,
			TransformFunc: doc.variable,
			EnvironFunc:   func() []string { return opts.Environ },
		}), nil),
	)
	if err != nil {
		// No layer returns one: their faults are problems.
		found.add(place{file: name}, "", "%v", err)
		return nil, found.err()
	}
	if doc.unreadable {
		return nil, found.err()
	}
	c := &checker{
		opts: opts, doc: doc, problems: found, merged: merged,
		holidaysAt: map[string]*HolidayList{}, compiled: map[string]reminder.Templates{}, distinct: map[string]bool{},
	}
	cfg := c.config()
	if err := found.err(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// checker turns the merged text into typed values, and records what is wrong.
type checker struct {
	opts     Options
	doc      *document
	problems *problems
	merged   *koanf.Koanf
	// holidaysAt are the lists of holidays by the paths of the keys that say
	// what is on them: services that have no list of their own share one.
	holidaysAt map[string]*HolidayList
	calendars  *calendars
	compiled   map[string]reminder.Templates // by their sources
	distinct   map[string]bool               // texts that are not ambiguous; see templates
}

func (c *checker) config() *Config {
	v := c.view()
	cfg := &Config{
		Zone:          v.zone("timezone"),
		Currency:      v.matching("currency", currencyCode, "the three capital letters of a currency, such as KES"),
		Country:       v.country("country"),
		Store:         v.store("store"),
		StorePassword: c.secret(v, wanted{"store_password", "store_password", nil}),
		Retention:     v.duration("retention", minRetention, maxRetention),
		Words:         v.duration("words_retention", minWords, maxRetention),
	}
	cfg.Phones, cfg.MobilePrefixes = c.phones(v, cfg.Country)
	cfg.holidays = map[string]*HolidayList{}
	cfg.holidaysAbout = reminder.DateOf(c.opts.Now().In(cfg.Zone))
	c.calendars = newCalendars(cfg.Zone, cfg.holidaysAbout)
	cfg.Almara = c.almara(v)
	// The mode first: it decides what the provider needs.
	cfg.Delivery = c.delivery(v, cfg)
	cfg.Notifier = c.notifier(v)
	cfg.Guards = c.guards(v)
	cfg.MaxRemoved = v.share("guards.max_removed")
	cfg.Policies, cfg.Services, cfg.wording = c.policies(cfg)
	cfg.Schedule = c.schedule(v)
	cfg.Bills = c.bills(cfg)
	cfg.Web = c.web(v, cfg.Notifier.Twilio)
	cfg.Log = c.log(v)
	cfg.Alerts = c.alerts(v)
	cfg.BillsFile = v.text("bills_file")
	cfg.BillsColumns = c.billsColumns(v, cfg)
	return cfg
}

// environ is the value of an environment variable, "" when it is not set.
func (c *checker) environ(name string) string {
	for _, pair := range c.opts.Environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// view reads the keys of the whole config.
func (c *checker) view() view {
	return view{
		problems: c.problems,
		get:      c.merged.Get,
		where: func(key string) (place, string) {
			return c.whereIs(key), key
		},
	}
}

// whereIs is where a value was written; for one that was not, the section it
// belongs in.
func (c *checker) whereIs(path string) place {
	for path != "" {
		if at, ok := c.doc.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return place{file: c.doc.name}
}
