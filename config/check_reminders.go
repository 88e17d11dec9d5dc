package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"duewatch/importer"
	"duewatch/reminder"
)

// Bounds of a policy.
const (
	maxStage      = 60 // days; a bill is monthly, so this is already two of them
	minWindow     = 15 * time.Minute
	maxBalanceAge = 7 * day
	maxDaily      = 100
)

// policy reads one policy through v, whose keys are those of reminders:.
func (c *checker) policy(v view, cfg *Config, id, name string) *reminder.Policy {
	list := c.holidays(v)
	cfg.holidays[id] = list
	p := &reminder.Policy{
		ServiceName:    name,
		Zone:           cfg.Zone,
		Currency:       cfg.Currency,
		Stages:         stages(v),
		SkipWeekdays:   weekdays(v),
		Holidays:       list.dates,
		MinBalance:     v.amount("min_balance"),
		MaxBalanceAge:  v.duration("max_balance_age", 0, maxBalanceAge),
		PerNumberDaily: v.count("per_number_daily", maxDaily),
		Bundle:         v.flag("bundle"),
		BundleDays:     v.whole("bundle_days", 0, reminder.MaxBundleDays),
		Language:       v.text("language"),
		MaxSegments:    cfg.Notifier.MaxSegments,
		Guards:         cfg.Guards,
	}
	p.StaleBalance = reminder.StalePolicy(v.oneOf("stale_balance",
		string(reminder.StaleHold), string(reminder.StaleWithoutAmount), string(reminder.StaleSkip)))
	c.hours(v, p)
	c.templates(v, p)
	if !v.broken("window") && !v.broken("skip_weekdays") {
		checkOpen(v, p)
	}
	return p
}

// checkOpen refuses holidays that leave no open day in a year: planning searches no
// further.
func checkOpen(v view, p *reminder.Policy) {
	for _, h := range slices.SortedFunc(maps.Keys(p.Holidays), reminder.Date.Compare) {
		if p.NextOpen(h.At(0, p.Zone)).IsZero() {
			v.bad("holidays", "leave no day open for a year from %s on: no reminder could be sent; remove some", h)
			return
		}
	}
}

// stages reads days_before and days_after into one ascending list.
func stages(v view) []reminder.Stage {
	var out []reminder.Stage
	read := func(key string, least, sign int) {
		v.each(key, func(item string) string {
			n, err := strconv.Atoi(item)
			switch {
			case err != nil:
				return shown(item) + " is not a number of days: write whole days, such as [7, 3, 0]"
			case n == 0 && least > 0:
				return "0 is the due date itself: write it in days_before"
			case n < least || n > maxStage:
				return shown(item) + " is out of range: write days from " + strconv.Itoa(least) + " to " + strconv.Itoa(maxStage) + ", without a sign"
			case slices.Contains(out, reminder.Stage(sign*n)):
				return shown(item) + " is on the list twice: keep one"
			}
			out = append(out, reminder.Stage(sign*n))
			return ""
		})
	}
	read("days_before", 0, -1)
	read("days_after", 1, 1)
	if len(v.list("days_before"))+len(v.list("days_after")) == 0 && !v.broken("days_before") && !v.broken("days_after") {
		v.bad("days_before", "is empty, and days_after too: no reminder would ever be sent; write days, such as [7, 3, 0]")
	}
	slices.Sort(out)
	return out
}

// hours reads the window and the hour of sending inside it.
func (c *checker) hours(v view, p *reminder.Policy) {
	var err error
	if p.SendAt, err = reminder.ParseClock(v.text("send_at")); err != nil {
		v.bad("send_at", "%v", err)
	}
	if p.Window, err = reminder.ParseWindow(v.text("window")); err != nil {
		v.bad("window", "%v", err)
	}
	if v.broken("send_at") || v.broken("window") {
		return
	}
	if open := time.Duration(p.Window.To-p.Window.From) * time.Minute; open < minWindow {
		v.bad("window", "%s is open for only %s: write at least %s, or texts that wait their turn are never sent",
			p.Window, words(open), words(minWindow))
		return
	}
	if !p.Window.Contains(p.SendAt) {
		key := "send_at"
		if c.nearness(v, "window") > c.nearness(v, key) {
			key = "window"
		}
		v.bad(key, "send_at %s is not in the window %s: write a time in it, or widen the window", p.SendAt, p.Window)
	}
}

// nearness ranks two keys that contradict each other, so that the problem names the one
// to change: rather a written key than a default, and rather that of a service than
// that of reminders:.
func (c *checker) nearness(v view, key string) int {
	_, path := v.where(key)
	switch _, written := c.doc.places[path]; {
	case !written:
		return 0
	case strings.HasPrefix(path, "services["):
		return 2
	default:
		return 1
	}
}

// weekdayNames are the days by the names that an operator may write.
var weekdayNames = func() map[string]time.Weekday {
	names := map[string]time.Weekday{}
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := strings.ToLower(d.String())
		names[name], names[name[:3]] = d, d
	}
	return names
}()

func weekdays(v view) []time.Weekday {
	var out []time.Weekday
	v.each("skip_weekdays", func(item string) string {
		d, ok := weekdayNames[strings.ToLower(item)]
		switch {
		case !ok:
			return shown(item) + " is not a weekday: write mon, tue, wed, thu, fri, sat or sun"
		case slices.Contains(out, d):
			return shown(item) + " is on the list twice: keep one"
		}
		out = append(out, d)
		return ""
	})
	if len(out) == 7 {
		v.bad("skip_weekdays", "names all seven days: no reminder could be sent; leave one out")
	}
	slices.Sort(out)
	return out
}

// amount reads an amount that is not negative.
func (v view) amount(key string) reminder.Money {
	s := v.text(key)
	m, err := reminder.ParseMoney(s)
	if err != nil {
		v.bad(key, "%v", err)
	} else if m.Sign() < 0 {
		v.bad(key, "%s is negative: write 0 or more", shown(s))
	}
	return m
}

// templates compiles the texts of all languages, and refuses ambiguous ones: those
// that could give two reminders the same words.
func (c *checker) templates(v view, p *reminder.Policy) {
	src := templateSources(v)
	sound := maps.Clone(src)
	report := func(err error) {
		for _, fault := range faults(err) {
			if e, ok := errors.AsType[*reminder.TemplateError](fault); ok {
				v.bad(join("templates", e.Language, e.Kind), "%s", oneLine(e.Err))
				delete(sound, e.Language)
			} else {
				v.bad("templates", "%s", oneLine(fault))
			}
		}
	}
	compiled, err := c.compile(src)
	report(err)
	p.Templates = compiled
	tried := *p
	if err != nil {
		// A fault in one language must not hide those in another.
		tried.Templates, _ = reminder.ParseTemplates(sound)
	}
	// With many services most share their texts: what was checked for one is not
	// checked again for the next.
	key := fmt.Sprintf("%q %v %t %q %t", src, p.Stages, p.Bundle, p.Currency, p.ServiceName == "")
	if err != nil || tried.Templates.JudgesService() {
		key += " " + p.ServiceName
	}
	if !c.distinct[key] {
		ambiguous := tried.Ambiguous()
		report(ambiguous)
		c.distinct[key] = err == nil && ambiguous == nil
	}
	if languages := slices.Sorted(maps.Keys(src)); !slices.Contains(languages, p.Language) {
		v.bad("language", "%s has no templates: write %s, or add its texts under templates", shown(p.Language), importer.OrList(languages))
	}
}

// compile is reminder.ParseTemplates, once for all services with these texts.
func (c *checker) compile(src map[string]reminder.TemplateSource) (reminder.Templates, error) {
	key := fmt.Sprintf("%q", src) // in the order of the languages
	if t, ok := c.compiled[key]; ok {
		return t, nil
	}
	t, err := reminder.ParseTemplates(src)
	if err == nil {
		c.compiled[key] = t
	}
	return t, err
}

func templateSources(v view) map[string]reminder.TemplateSource {
	out := map[string]reminder.TemplateSource{}
	languages, _ := v.get("templates").(map[string]any)
	for language, texts := range languages {
		text, _ := texts.(map[string]any)
		before, _ := text["before"].(string)
		after, _ := text["after"].(string)
		bundle, _ := text["bundle"].(string)
		out[language] = reminder.TemplateSource{Before: before, After: after, Bundle: bundle}
	}
	return out
}

// faults lists the errors that were joined.
func faults(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
