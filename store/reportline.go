package store

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"duewatch/reminder"
)

// Report adds up what ReportTexts, ReportReminders and HeldNow count: one line for
// each service, day or stage, and one of all. The command report, the daily report and
// the page read it, so that they say the same.
type Report struct {
	Total *ReportLine

	by          Grouping
	zone        *time.Location
	serviceName func(service string) string
	lines       map[string]*ReportLine // by their sorting keys
}

// NewReport is an empty report. Days are those of the zone; serviceName words a service.
func NewReport(by Grouping, zone *time.Location, serviceName func(service string) string) *Report {
	return &Report{Total: newReportLine("all", ""), by: by, zone: zone, serviceName: serviceName, lines: map[string]*ReportLine{}}
}

// ReportLine is what is counted of one service, day or stage, or of all.
type ReportLine struct {
	Name string // in front of an operator
	ID   string // for programs: the service's id, the day, the stage's number; "" of what belongs to none

	Texted        int
	Skipped, Held map[reminder.Reason]int

	OnTheWay, Delivered, Unconfirmed, Failed int // handed over
	BeingSent, InDoubt, NotSent              int
	Codes                                    map[int]int // of Failed
	Refused                                  map[reminder.Reason]int

	Segments, Billed, BilledOf int // of what was handed over
	Charged                    map[string]reminder.Money

	Paid, PaidOf, TooEarly int
}

func newReportLine(name, id string) *ReportLine {
	return &ReportLine{
		Name: name, ID: id, Skipped: map[reminder.Reason]int{}, Held: map[reminder.Reason]int{}, Codes: map[int]int{},
		Refused: map[reminder.Reason]int{}, Charged: map[string]reminder.Money{},
	}
}

// HandedOver is how many texts the provider took.
func (l *ReportLine) HandedOver() int { return l.OnTheWay + l.Delivered + l.Unconfirmed + l.Failed }

// Cost is what the segments cost at a price; nil = not known.
func (l *ReportLine) Cost(price *reminder.Money) *reminder.Money {
	if price == nil {
		return nil
	}
	m := price.Times(float64(l.Segments))
	return &m
}

// linesOf are the lines that a count belongs to.
func (r *Report) linesOf(g Group) []*ReportLine {
	var key, name, id string
	switch r.by {
	case ByNothing:
		return []*ReportLine{r.Total}
	case ByDay:
		id = reminder.DateOf(g.At.In(r.zone)).String()
		key, name = id, id
	case ByService:
		id = g.Service
		name = r.serviceName(id)
		key = name + "\x00" + id
	case ByStage:
		id, name = strconv.Itoa(int(g.Stage)), g.Stage.String()
		key = fmt.Sprintf("%06d", int(g.Stage)+100_000)
	}
	if !g.Linked {
		// It came to nothing, and its reminder was decided again.
		id, name, key = "", "texts given back", "\xff"
	}
	if r.lines[key] == nil {
		r.lines[key] = newReportLine(name, id)
	}
	return []*ReportLine{r.Total, r.lines[key]}
}

// AddTexts adds what ReportTexts counts.
func (r *Report) AddTexts(c TextCount) error {
	var price reminder.Money
	if c.Price != "" {
		var err error
		if price, err = reminder.ParseMoney(c.Price); err != nil {
			return fmt.Errorf("a price in the store: %w", err)
		}
	}
	for _, l := range r.linesOf(c.Group) {
		l.addTexts(c, price)
	}
	return nil
}

func (l *ReportLine) addTexts(c TextCount, price reminder.Money) {
	switch c.State {
	case Accepted, Sent:
		l.OnTheWay += c.Texts
	case Delivered:
		l.Delivered += c.Texts
	case Unconfirmed:
		l.Unconfirmed += c.Texts
	case Undelivered, Failed, Canceled:
		l.Failed += c.Texts
		l.Codes[c.Code] += c.Texts
	case Sending:
		l.BeingSent += c.Texts
		return
	case Unknown:
		l.InDoubt += c.Texts
		return
	case Refused, NotFound:
		l.NotSent += c.Texts
		l.Refused[cmp.Or(c.RefusedFor, reminder.NotAtProvider)] += c.Texts
		return
	}
	l.Segments += c.Segments
	l.Billed += c.Billed
	l.BilledOf += c.BilledOf
	if c.Price != "" {
		l.Charged[c.PriceUnit] = l.Charged[c.PriceUnit].Plus(price.Times(-float64(c.Texts)))
	}
}

// AddReminders adds what ReportReminders counts.
func (r *Report) AddReminders(c ReminderCount) error {
	for _, l := range r.linesOf(c.Group) {
		if c.Outcome == reminder.Skipped {
			l.Skipped[c.Reason] += c.Reminders
			continue
		}
		l.Texted += c.Reminders
		l.TooEarly += c.TooEarly
		l.PaidOf += c.NotFailed - c.TooEarly
		l.Paid += c.Paid
	}
	return nil
}

// AddHeld adds what HeldNow counts.
func (r *Report) AddHeld(held []ReminderCount) {
	for _, h := range held {
		for _, l := range r.linesOf(h.Group) {
			l.Held[h.Reason] += h.Reminders
		}
	}
}

// Lines are those of the report in their order, without that of all.
func (r *Report) Lines() (all []*ReportLine) {
	keys := make([]string, 0, len(r.lines))
	for k := range r.lines {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		all = append(all, r.lines[k])
	}
	return all
}
