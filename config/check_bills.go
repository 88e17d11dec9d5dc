package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/knadh/koanf/providers/confmap"

	"duewatch/importer"
	"duewatch/reminder"
)

// The longest texts of a service that are taken, in characters.
const (
	maxName = 60
	maxPay  = 40
)

// policies reads the policy of reminders: and that of each service, and hashes
// their templates.
func (c *checker) policies(cfg *Config) (reminder.Policies, []Service, string) {
	base := view{
		problems: c.problems,
		get:      func(key string) any { return c.merged.Get(join("reminders", key)) },
		where: func(key string) (place, string) {
			path := join("reminders", key)
			return c.whereIs(path), path
		},
	}
	cfg.settings = map[string][]Setting{everyService: c.settings(base)}
	out := reminder.Policies{Default: c.policy(base, cfg, Service{ID: everyService}), ByService: map[string]*reminder.Policy{}}
	sources := []any{templateSources(base)}

	services := []Service{}
	lines := map[string]int{}
	views := map[string]view{}
	for _, e := range c.doc.services {
		if c.problems.has(e.at, e.path) {
			continue
		}
		own := c.entryView(e)
		s := Service{ID: own.id("id"), Name: own.label("name", maxName, true), Pay: own.pay("pay")}
		if line, twice := lines[s.ID]; twice && s.ID != "" {
			own.bad("id", "%s is listed twice, first in line %d: keep one", shown(s.ID), line)
		}
		lines[s.ID] = e.at.line
		v := c.override(base, own, e)
		services = append(services, s)
		cfg.settings[s.ID] = append(c.settings(v), c.setting(own, "pay", s.Pay))
		out.ByService[s.ID] = c.policy(v, cfg, s)
		views[s.ID] = v
		sources = append(sources, s.ID, templateSources(v))
	}
	for _, f := range out.Ambiguous() {
		v, key := views[f.Service], join("templates", f.Language, f.Which)
		switch {
		case out.Name(f.Service) == out.Name(f.Other):
			if !v.broken("name") {
				v.bad("name", "%s is the name of service %s too: write another one, or customers cannot tell their texts apart",
					shown(out.Name(f.Service)), shown(f.Other))
			}
		case !v.broken(key):
			v.bad(key, "can give the same words for one account number of the services %s and %s, "+
				"so that a text that was lost would pass for sent: name .Service", shown(f.Other), shown(f.Service))
		}
	}
	b, _ := json.Marshal(sources) // texts only
	sum := sha256.Sum256(b)
	return out, services, hex.EncodeToString(sum[:])
}

// override is a view of reminders: with the keys of one service on top.
func (c *checker) override(base, own view, e entry) view {
	merged := c.merged.Cut("reminders")
	if err := merged.Load(confmap.Provider(e.fields, ""), nil); err != nil {
		own.bad("", "%v", err) // a map is never refused
	}
	return view{
		problems: c.problems,
		get:      merged.Get,
		where: func(key string) (place, string) {
			path := join(e.path, key)
			if at, ok := c.doc.places[path]; ok {
				return at, path
			}
			if strings.HasPrefix(key, "templates.") && base.get(key) == nil {
				return c.whereIs(path), path // a language that only this service has
			}
			// An item of a list that the service does not write has no
			// place of its own either.
			return base.where(key)
		},
	}
}

// entryView reads the keys of one item of services or bills.
func (c *checker) entryView(e entry) view {
	return view{
		problems: c.problems,
		get:      func(key string) any { return e.fields[key] },
		where: func(key string) (place, string) {
			path := join(e.path, key)
			return c.whereIs(path), path
		},
	}
}

// label reads a text of one line that is kept just as written.
func (v view) label(key string, longest int, needed bool) string {
	s := v.text(key)
	switch fault := importer.LabelFault(s, longest, needed); {
	case s == "" && needed:
		v.missing(key, "every entry needs one")
	case fault != "":
		v.bad(key, "%s", fault)
	}
	return s
}

// pay reads how customers pay a service.
func (v view) pay(key string) string {
	s := v.label(key, maxPay, false)
	if fault := reminder.PayFault(s); fault != "" && !v.broken(key) {
		v.bad(key, "%s", fault)
	}
	return s
}

// id reads a service or an account, which is kept just as written.
func (v view) id(key string) string {
	s := v.text(key)
	switch fault := importer.IDFault(s, true); {
	case s == "":
		v.missing(key, "every entry needs one")
	case fault != "":
		v.bad(key, "%s", fault)
	}
	return s
}

// identity tells bills apart.
type identity struct{ service, account string }

// bills reads the declared list.
func (c *checker) bills(cfg *Config) []reminder.Bill {
	bills := make([]reminder.Bill, 0, len(c.doc.bills))
	lines := make(map[identity]int, len(c.doc.bills))
	for _, e := range c.doc.bills {
		if c.problems.has(e.at, e.path) {
			continue
		}
		v := c.entryView(e)
		b := reminder.Bill{
			Service:     v.id("service"),
			Account:     v.id("account"),
			Phone:       v.phone("phone", cfg),
			Description: v.label("description", importer.MaxDescription, false),
			Language:    v.text("language"),
		}
		if v.text("phone") == "" {
			v.missing("phone", importer.NeedsPhone)
		}
		if fault := importer.ServiceFault(cfg.Policies, b.Service); fault != "" {
			v.bad("service", "%s", fault)
		}
		if fault := importer.LanguageFault(cfg.Policies, b.Service, b.Language, shown(b.Language)); fault != "" {
			v.bad("language", "%s", fault)
		}
		id := identity{b.Service, b.Account}
		if line, twice := lines[id]; twice && id.service != "" && id.account != "" {
			v.bad("account", "this service and account are listed twice, first in line %d: keep one", line)
		} else {
			lines[id] = e.at.line
		}
		bills = append(bills, b)
	}
	cfg.billLines = lines
	return bills
}

// BillLine is the line of the config that names a bill; 0 = none does.
func (c *Config) BillLine(b reminder.Bill) int { return c.billLines[identity{b.Service, b.Account}] }
