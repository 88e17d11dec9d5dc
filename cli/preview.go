package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// The days that one may look ahead: a due date is seldom known for longer.
const mostDays = 60

func (a *app) previewCommand() *cobra.Command {
	var days int
	var full, all bool
	var form previewForm
	c := &cobra.Command{
		Use:   "preview",
		Short: "Show the texts to come: when, to whom, which words, what cost",
		Long: `Shows every text of today and the days after: when it leaves, to whom, how it
will read that day, and its segments; then the totals, the cost, and which
reminders are skipped or held, by reason. It decides by the daemon's own rules
and the present config, so that an edit can be looked at before the reload.

It takes for granted that what is owed now is owed then, and that Almara Pay and
the provider do their part. Bills and due dates that are still to come are not
foreseen: "duewatch simulate" makes them up. It calls nobody and changes
nothing.`,
		Example: `  duewatch preview --days 3 --all
  duewatch preview --csv > texts.csv
  duewatch preview --json | jq 'select(.kind == "text").body'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if days < 1 || days > mostDays {
				return fmt.Errorf("--days %d: write 1 to %d (%w)", days, mostDays, errUsage)
			}
			if form.json && form.csv {
				return fmt.Errorf("give --json or --csv, not both (%w)", errUsage)
			}
			return a.preview(c.Context(), days, form, full, all)
		},
	}
	c.Flags().IntVar(&days, "days", 7, "how many, the first being today")
	c.Flags().BoolVar(&all, "all", false, "also list what is skipped or held, one by one")
	c.Flags().BoolVar(&form.json, "json", false, "print JSON, one object a line, the totals last")
	c.Flags().BoolVar(&form.csv, "csv", false, "print CSV, for a spreadsheet: a line for each text, no totals")
	c.Flags().BoolVar(&full, "full", false, "show the phones in full")
	return c
}

// previewForm is the form in which a preview is printed, if not for people.
type previewForm struct{ json, csv bool }

func (a *app) preview(ctx context.Context, days int, form previewForm, full, all bool) (err error) {
	cfg, err := a.load(true)
	if err != nil {
		return err
	}
	s, err := store.OpenPreview(ctx, cfg.StoreAddress())
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w No due date is known before", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := a.adaptToWorld(ctx, cfg, s.Store); err != nil {
		return err
	}
	fingerprint, off := cfg.Fingerprint(), cfg.Delivery.Mode == reminder.ModeOff
	if off {
		fmt.Fprintln(a.stderr, "notifier.mode is off, so nothing is sent: this is what live would send")
		cfg.Delivery.Mode = reminder.ModeLive
	}
	if err := a.printStops(ctx, cfg, s); err != nil {
		return err
	}

	now := a.now()
	v := &preview{
		cfg: cfg, out: bufio.NewWriter(a.stdout), stderr: a.stderr,
		previewForm: form, all: all, phone: shownPhone(full), faults: map[string]bool{},
	}
	v.Kind, v.From, v.Currency = "totals", utc(now), cfg.Currency
	v.Until = utc(reminder.DateOf(now.In(cfg.Zone)).AddDays(days).At(0, cfg.Zone))
	if form.csv {
		err := v.record("outcome", "at", "to", "service", "account", "stage", "due_date", "reason",
			"language", "segments", "cost", "body")
		if err != nil {
			return err
		}
	}
	bar, begun := newProgressOf(a.stderr, "planning by the present config", "bills", 0), false
	err = scheduler.Preview(ctx, scheduler.PreviewConfig{
		Store: s, Policies: cfg.Policies, Delivery: cfg.Delivery, Remind: cfg.Schedule.Remind, SegmentsPerSecond: cfg.Notifier.SegmentsPerSecond,
		Fingerprint: fingerprint, IgnoreHolds: off, From: now, Until: v.Until, Replanning: func(bills int) {
			if !begun { // else the texts show how far it is
				bar.at(bills, 0)
			}
		},
	}, func(at time.Time, decided store.RoundResult) error {
		bar.done()
		begun = true
		return v.show(at, decided)
	})
	bar.done()
	if err != nil {
		return errors.Join(err, v.out.Flush())
	}
	return v.end(ctx, s)
}

// printStops says when no text may leave at all.
func (a *app) printStops(ctx context.Context, cfg *config.Config, s *store.Preview) error {
	stops, err := s.Stops(ctx, a.now())
	for _, stop := range stops {
		fmt.Fprintln(a.stderr, a.problems(cfg, nil).Stop(stop))
	}
	return err
}

// preview prints what is to come, and adds it up.
type preview struct {
	cfg    *config.Config
	out    *bufio.Writer
	stderr io.Writer
	previewForm
	all    bool
	phone  func(reminder.Phone) string
	day    string
	faults map[string]bool

	totals
}

// totals are the last line for programs.
type totals struct {
	Kind      string         `json:"kind"`
	From      time.Time      `json:"from"`
	Until     time.Time      `json:"until"`
	Texts     int            `json:"texts"`
	Segments  int            `json:"segments"`
	Cost      string         `json:"cost,omitempty"` // "" = the price is not known
	Currency  string         `json:"currency"`
	Days      []sum          `json:"days"`
	Services  []sum          `json:"services"`
	Languages []sum          `json:"languages"`
	Reminders []outcomeCount `json:"reminders"`
	// Unregistered are bills whose due dates are not known yet, Paused those that
	// are paused for longer than this looks ahead.
	Unregistered int `json:"unregistered,omitempty"`
	Paused       int `json:"paused,omitempty"`
}

// sum is how many texts there are of one day, service or language.
type sum struct {
	Of       string `json:"of"`
	Texts    int    `json:"texts"`
	Segments int    `json:"segments,omitempty"`
	Cost     string `json:"cost,omitempty"`
}

type outcomeCount struct {
	Outcome reminder.Outcome `json:"outcome"`
	Reason  reminder.Reason  `json:"reason"`
	Count   int              `json:"count"`
}

// show prints one round.
func (v *preview) show(at time.Time, decided store.RoundResult) error {
	for _, fault := range decided.Faults {
		if !v.faults[fault.Error()] {
			v.faults[fault.Error()] = true
			fmt.Fprintln(v.stderr, "duewatch: no decision can be made:", fault)
		}
	}
	for _, t := range decided.Texts {
		day := reminder.DateOf(at.In(v.cfg.Zone)).String()
		v.Texts++
		v.Segments += t.Segments
		v.Days = addTo(v.Days, day, t.Segments)
		v.Services = addTo(v.Services, v.cfg.Policies.Name(t.Parts[0].Service), t.Segments)
		v.Languages = addTo(v.Languages, t.Language, t.Segments)
		if err := v.text(at, t); err != nil {
			return err
		}
	}
	for _, n := range decided.Records {
		if v.all && n.Outcome != reminder.Texted {
			if err := v.unsent(at, n); err != nil {
				return err
			}
		}
	}
	// What is found is shown: somebody may be waiting at a terminal.
	return v.out.Flush()
}

// addTo adds a text to the sum of its kind.
func addTo(sums []sum, of string, segments int) []sum {
	i := slices.IndexFunc(sums, func(s sum) bool { return s.Of == of })
	if i < 0 {
		i, sums = len(sums), append(sums, sum{Of: of})
	}
	sums[i].Texts++
	sums[i].Segments += segments
	return sums
}

// end prints the totals.
func (v *preview) end(ctx context.Context, s *store.Preview) error {
	counts, err := s.CountOutcomes(ctx, v.From)
	if err != nil {
		return err
	}
	for _, c := range counts {
		v.Reminders = append(v.Reminders, outcomeCount(c))
	}
	if v.Unregistered, v.Paused, err = s.CountIdle(ctx, v.Until); err != nil {
		return err
	}
	for _, sums := range [][]sum{v.Services, v.Languages} {
		slices.SortFunc(sums, func(a, b sum) int { return cmp.Or(b.Texts-a.Texts, cmp.Compare(a.Of, b.Of)) })
	}
	v.Cost = v.cost(v.Segments)
	for _, sums := range [][]sum{v.Days, v.Services, v.Languages} {
		for i := range sums {
			sums[i].Cost = v.cost(sums[i].Segments)
		}
	}
	switch {
	case v.json:
		err = json.NewEncoder(v.out).Encode(v.totals)
	case v.csv:
		v.printIdle()
	default:
		v.printTotals()
		v.printIdle()
	}
	return errors.Join(err, v.out.Flush())
}

func (v *preview) cost(segments int) string { return costOf(v.cfg.Notifier.PricePerSegment, segments) }

// costOf is what segments cost, as decimal text; "" when the price is not known.
func costOf(price *reminder.Money, segments int) string {
	if price == nil {
		return ""
	}
	return price.Times(float64(segments)).String()
}
