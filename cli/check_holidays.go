package cli

import (
	"fmt"
	"path/filepath"
	"slices"

	"duewatch/config"
	"duewatch/reminder"
)

// checkedHolidays is one list of holidays that differs from the others.
type checkedHolidays struct {
	Service     string       `json:"service,omitempty"` // "" = the list of reminders:
	Days        int          `json:"days_in_coming_year"`
	Next        string       `json:"next,omitempty"` // "" = all are past
	Dates       []holidayDay `json:"dates"`          // of the coming year
	Observances []holidayDay `json:"observances_left_out"`
	Warnings    []string     `json:"warnings"`
}

type holidayDay struct {
	Date reminder.Date `json:"date"`
	Name string        `json:"name"`
	File string        `json:"file"`
}

// comingYear are the holidays from today on, of a year.
func comingYear(all []config.Holiday, today reminder.Date) []holidayDay {
	days := []holidayDay{}
	for _, h := range all {
		if ahead := h.Date.Sub(today); ahead >= 0 && ahead < 365 {
			days = append(days, holidayDay(h))
		}
	}
	return days
}

// differingHolidays calls do for the list of reminders:, and for those of
// services that have another one.
func differingHolidays(cfg *config.Config, do func(service string, list *config.HolidayList)) {
	base := cfg.Holidays("")
	do("", base)
	for _, s := range cfg.Services {
		own := cfg.Holidays(s.ID)
		if !slices.Equal(own.Days, base.Days) || !slices.Equal(own.Observances, base.Observances) {
			do(s.ID, own)
		}
	}
}

// holidays lists the days to come of each list of holidays: a list of last year,
// or one that lacks a day, is not noticed otherwise.
func (k *check) holidays() {
	today := reminder.DateOf(k.app.now().In(k.cfg.Zone))
	differingHolidays(k.cfg, func(service string, list *config.HolidayList) {
		if !list.Names() {
			return
		}
		found := checkedHolidays{
			Service: service, Warnings: []string{},
			Dates: comingYear(list.Days, today), Observances: comingYear(list.Observances, today),
		}
		for _, w := range list.Warnings {
			found.Warnings = append(found.Warnings, w.String())
		}
		days := map[reminder.Date]bool{}
		for _, d := range found.Dates {
			days[d.Date] = true
		}
		found.Days = len(days)
		of := ""
		if service != "" {
			of = "of service " + service + ", "
		}
		i := slices.IndexFunc(list.Days, func(h config.Holiday) bool { return !h.Date.Before(today) })
		if i >= 0 {
			found.Next = list.Days[i].Date.String()
		}
		switch {
		case i < 0:
			k.say("holidays  %sare all past: list those to come\n", of)
		case found.Days == 0:
			k.say("holidays  %snone in the coming year, the next on %s\n", of, found.Next)
		default:
			k.say("holidays  %s%s in the coming year\n", of, countOf(found.Days, "day"))
		}
		k.Holidays = append(k.Holidays, found)
		k.listHolidays(found)
	})
	for _, w := range k.cfg.HolidayWarnings() {
		k.printWrapped("warning   ", w)
	}
}

func (k *check) listHolidays(found checkedHolidays) {
	const nameWidth = 34 // leaves room for the day and the file
	for _, d := range found.Dates {
		name := d.Name
		if r := []rune(name); len(r) > nameWidth {
			name = string(r[:nameWidth-1]) + "…"
		}
		k.say("          %s %.3s  %-*s  %s\n", d.Date, d.Date.Weekday(), nameWidth, name, filepath.Base(d.File))
	}
	if n := len(found.Observances); n > 0 {
		k.printWrapped("          ", fmt.Sprintf("%s left out; holidays_observances: true has them count", countOf(n, "observance")))
	}
}
