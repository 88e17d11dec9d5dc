package cli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// simulated is what came of a simulation.
type simulated struct {
	Kind     string    `json:"kind"`
	Config   string    `json:"config"`
	Seed     uint64    `json:"seed"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Bills    int       `json:"bills"`
	Texts    int       `json:"texts"`
	Segments int       `json:"segments"`
	People   int       `json:"people_texted"`
	Cost     string    `json:"cost,omitempty"` // "" = the price is not known
	Currency string    `json:"currency"`

	Calls        int     `json:"almara_calls"`
	CallsMonthly float64 `json:"almara_calls_per_bill_and_month"`
	CallsHour    int     `json:"almara_calls_in_the_busiest_hour"`
	Paid         int     `json:"bills_paid"`
	PaidInTime   int     `json:"bills_paid_by_their_due_date"`

	Days      []sum          `json:"days"`
	Stages    []sum          `json:"stages"` // Of is the number of days after the due date; without segments
	Languages []sum          `json:"languages"`
	Reminders []outcomeCount `json:"reminders"`

	// For the comparison with another one: the day on which each reminder was sent.
	sent   map[sentReminder]reminder.Date
	people map[reminder.Phone]bool
	last   map[string]time.Time // of each day, the last text
	zone   *time.Location
}

// sentReminder is one stage of one due date of one bill.
type sentReminder struct {
	bill  int64
	due   reminder.Date
	stage reminder.Stage
}

// result reads what came of it in the store, where the daemon left it.
func (w *madeUp) result(ctx context.Context, cfg *config.Config, f simulateFlags, begin, end time.Time) (*simulated, error) {
	r := &simulated{
		Kind: "simulated", Seed: f.seed, From: utc(begin), Until: utc(end), Bills: w.bills, Currency: cfg.Currency, Calls: int(w.calls.Load()),
		sent: map[sentReminder]reminder.Date{}, people: map[reminder.Phone]bool{}, last: map[string]time.Time{}, zone: cfg.Zone,
	}
	err := w.store.EachText(ctx, begin, func(t store.TextTo) {
		day := reminder.DateOf(t.At.In(cfg.Zone)).String()
		r.Texts++
		r.Segments += t.Segments
		r.people[t.Phone] = true
		r.last[day] = t.At
		r.Days = addTo(r.Days, day, t.Segments)
		r.Languages = addTo(r.Languages, t.Language, t.Segments)
	})
	if err != nil {
		return nil, err
	}
	count := map[outcomeCount]int{}
	err = w.store.EachReminder(ctx, begin, func(bill int64, m reminder.Reminder) {
		count[outcomeCount{Outcome: m.Outcome, Reason: m.Reason}]++
		if m.Outcome == reminder.Texted {
			r.sent[sentReminder{bill, m.DueDate, m.Stage}] = reminder.DateOf(m.DecidedAt.In(cfg.Zone))
			r.Stages = addTo(r.Stages, fmt.Sprint(int(m.Stage)), 0)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, e := range slices.SortedFunc(maps.Keys(count), func(a, b outcomeCount) int {
		return cmp.Or(-cmp.Compare(a.Outcome, b.Outcome), count[b]-count[a], cmp.Compare(a.Reason, b.Reason))
	}) {
		e.Count = count[e]
		r.Reminders = append(r.Reminders, e)
	}
	slices.SortFunc(r.Stages, func(a, b sum) int { return cmp.Compare(stageOf(a), stageOf(b)) })
	slices.SortFunc(r.Languages, func(a, b sum) int { return cmp.Or(b.Texts-a.Texts, cmp.Compare(a.Of, b.Of)) })
	price := cfg.Notifier.PricePerSegment
	for _, sums := range [][]sum{r.Days, r.Languages} {
		for i := range sums {
			sums[i].Cost = costOf(price, sums[i].Segments)
		}
	}
	r.People, r.Cost = len(r.people), costOf(price, r.Segments)
	r.Paid, r.PaidInTime = w.customers.Paid()
	for _, n := range w.hours {
		r.CallsHour = max(r.CallsHour, int(n))
	}
	if r.Bills > 0 {
		r.CallsMonthly = float64(r.Calls) / float64(r.Bills) / (end.Sub(begin).Hours() / 24 / 30)
	}
	return r, nil
}

func stageOf(s sum) (stage int) {
	_, _ = fmt.Sscan(s.Of, &stage) // it was printed by us
	return stage
}

// tell prints it for people.
func (r *simulated) tell(w io.Writer, cfg *config.Config) error {
	out := bufio.NewWriter(w)
	days := int(r.Until.Sub(r.From).Hours()/24 + 0.5)
	fmt.Fprintf(out, "%s from %s, %s, seed %d: made up, nobody was texted\n\n", countOf(days, "day"),
		dayOf(reminder.DateOf(r.From.In(r.zone)).String()), countOf(r.Bills, "bill"), r.Seed)
	fmt.Fprintf(out, "%s to %d people, %s%s\n",
		countOf(r.Texts, "text"), r.People, countOf(r.Segments, "segment"), costWords(r.Currency, r.Cost))
	fmt.Fprintf(out, "%s paid, %d of them by the due date\n", countOf(r.Paid, "bill"), r.PaidInTime)
	fmt.Fprintf(out, "%s to Almara Pay, %.1f for each bill in 30 days;\n  %d in the busiest hour, where almara.rate allows %.0f\n",
		countOf(r.Calls, "call"), r.CallsMonthly, r.CallsHour, cfg.Almara.Rate*3600)
	if len(r.Days) > 0 {
		fmt.Fprintln(out)
		days := tableOfSums(out, r.Cost, "DAY, LAST TEXT")
		for _, s := range r.Days {
			_ = days.row(s.cells(r.Currency, dayOf(s.Of)+", "+r.last[s.Of].In(r.zone).Format("15:04"))...) // into a buffer
		}
		_ = days.flush() // into a buffer
		fmt.Fprintln(out)
		stages := newTable(out, 1, "REMINDERS", "STAGE").numbers(0)
		for _, s := range r.Stages {
			_ = stages.row(strconv.Itoa(s.Texts), reminder.Stage(stageOf(s)).String()) // into a buffer
		}
		_ = stages.flush() // into a buffer
	}
	printUnsent(out, r.Reminders)
	return out.Flush()
}

func costWords(currency, cost string) string {
	if cost == "" {
		return ""
	}
	return ", " + currency + " " + money(cost, currency)
}

// difference is what another config makes of the same audience.
type difference struct {
	Kind      string         `json:"kind"`
	Texts     int            `json:"texts"`
	Segments  int            `json:"segments"`
	Cost      string         `json:"cost,omitempty"`
	Currency  string         `json:"currency"`
	People    int            `json:"people_texted"`
	Calls     int            `json:"almara_calls"`
	InTime    int            `json:"bills_paid_by_their_due_date"`
	Only      int            `json:"reminders_only_with_it"`
	Without   int            `json:"reminders_no_longer_sent"`
	Moved     map[string]int `json:"moved_to"` // by weekday: reminders sent on another day
	Reminders []outcomeCount `json:"reminders"`
}

// since is the difference that r makes to before.
func (r *simulated) since(before *simulated) *difference {
	d := &difference{
		Kind: "difference", Texts: r.Texts - before.Texts, Segments: r.Segments - before.Segments, Currency: r.Currency,
		People: r.People - before.People, Calls: r.Calls - before.Calls, InTime: r.PaidInTime - before.PaidInTime, Moved: map[string]int{},
	}
	if r.Cost != "" && before.Cost != "" {
		d.Cost = costDifference(r.Cost, before.Cost)
	}
	for key, day := range r.sent {
		switch was, both := before.sent[key]; {
		case !both:
			d.Only++
		case was != day:
			d.Moved[day.Weekday().String()]++
		}
	}
	for key := range before.sent {
		if _, both := r.sent[key]; !both {
			d.Without++
		}
	}
	count := map[outcomeCount]int{}
	for _, e := range r.Reminders {
		count[outcomeCount{Outcome: e.Outcome, Reason: e.Reason}] += e.Count
	}
	for _, e := range before.Reminders {
		count[outcomeCount{Outcome: e.Outcome, Reason: e.Reason}] -= e.Count
	}
	for _, e := range slices.SortedFunc(maps.Keys(count), func(a, b outcomeCount) int {
		return cmp.Or(-cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Reason, b.Reason))
	}) {
		if e.Count = count[e]; e.Count != 0 {
			d.Reminders = append(d.Reminders, e)
		}
	}
	return d
}

func costDifference(now, before string) string {
	a, errA := reminder.ParseMoney(now)
	b, errB := reminder.ParseMoney(before)
	if errA != nil || errB != nil {
		return ""
	}
	return a.Minus(b).String()
}

// tell prints the difference for people.
func (d *difference) tell(w io.Writer, against string) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "\nWith %s instead\n", against)
	t := newTable(out, 1, "", "").numbers(0)
	row := func(count, what string) { _ = t.row(count, what) } // into a buffer
	line := func(n int, what string) { row(fmt.Sprintf("%+d", n), what) }
	line(d.Texts, "texts")
	line(d.Segments, "segments")
	if d.Cost != "" {
		sign := "+"
		if d.Cost[0] == '-' {
			sign = ""
		}
		row(sign+money(d.Cost, d.Currency), d.Currency)
	}
	line(d.People, "people are texted")
	line(d.InTime, "bills paid by their due date")
	line(d.Calls, "calls to Almara Pay")
	line(d.Only, "reminders that were not sent before")
	line(-d.Without, "reminders that were")
	for day := time.Sunday; day <= time.Saturday; day++ {
		if n := d.Moved[day.String()]; n > 0 {
			row(strconv.Itoa(n), fmt.Sprintf("of both move to a %s", day))
		}
	}
	for _, e := range d.Reminders {
		if e.Outcome != reminder.Texted {
			line(e.Count, fmt.Sprintf("%s: %s", e.Outcome, e.Reason.Info().Means))
		}
	}
	_ = t.flush() // into a buffer
	return out.Flush()
}
