package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/store"
)

// groupings are what --by takes.
var groupings = []store.Grouping{store.ByService, store.ByDay, store.ByStage}

func (a *app) reportCommand() *cobra.Command {
	r := &report{app: a}
	var since, within, by string
	var asJSON, asCSV bool
	c := &cobra.Command{
		Use:   "report",
		Short: "Count what was sent and why not, what it cost, and who paid",
		Long: `Counts the texts that were begun, and the reminders that were decided, since a
day: delivered, failed and by which code, skipped and held and for which reason;
the segments as duewatch counts them against those the provider has billed; and
who paid.

The cost is forecast from notifier.price_per_segment, for what was handed over.
What the provider has charged is known some time after the text, if at all.

A reminder counts as followed by a payment if Almara Pay said within
--paid-within of its text that nothing is owed any more, or less than
reminders.min_balance; or that the next bill is due, and no more is owed than
before. Almara Pay is asked before each stage and on the day after the due date,
so a payment may be noticed late: more have paid than are counted here. That
somebody paid after a text does not say that the text was why.`,
		Example: "  duewatch report --since 7d\n  duewatch report --since 2026-11-01 --by service --csv > november.csv",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			r.period.By = store.Grouping(by)
			if err := oneOf("by", r.period.By, groupings); err != nil {
				return err
			}
			if asJSON && asCSV {
				return fmt.Errorf("give --json or --csv, not both (%w)", errUsage)
			}
			var s *store.Store
			if r.cfg, s, err = a.openReader(c); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := r.over(since, within); err != nil {
				return err
			}
			show := r.print
			switch {
			case asJSON:
				show = r.printJSON
			case asCSV:
				show = r.printCSV
			default:
				r.heading() // a million texts take some seconds
			}
			if err := r.count(c.Context(), s); err != nil {
				return err
			}
			return show()
		},
	}
	c.Flags().StringVar(&since, "since", "30d", "days back, or a day (YYYY-MM-DD)")
	c.Flags().StringVar(&within, "paid-within", "3d", "how soon a payment counts")
	c.Flags().StringVar(&by, "by", "", "a line for each service, day or stage")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV, for a spreadsheet")
	return c
}

// report is one run of the command.
type report struct {
	app    *app
	cfg    *config.Config
	period store.Period
	now    time.Time
	counts *store.Report
}

// over says what the report is about.
func (r *report) over(since, within string) (err error) {
	r.now = r.app.now()
	p := &r.period
	p.Until = r.now.Add(time.Millisecond)
	p.HeldMost = daemon.MaxHeld(r.cfg.Policies)
	if p.Since, err = sinceOf(since, r.now, r.cfg.Zone); err != nil {
		return err
	}
	p.PaidWithin, err = withinOf(within)
	return err
}

// count reads it.
func (r *report) count(ctx context.Context, s *store.Store) error {
	p := &r.period
	r.counts = store.NewReport(p.By, r.cfg.Zone, r.cfg.Policies.Name)
	show := newProgress(r.app.stderr, "reading texts", 0)
	defer func() { show.done() }()
	p.Progress = func(rows int) { show.at(rows, 0) }
	if err := s.ReportTexts(ctx, *p, r.counts.AddTexts); err != nil {
		return err
	}
	show.done()
	show = newProgress(r.app.stderr, "reading reminders", 0)
	if err := s.ReportReminders(ctx, *p, r.now, r.counts.AddReminders); err != nil {
		return err
	}
	held, err := s.HeldNow(ctx, p.By)
	r.counts.AddHeld(held)
	return err
}

var daysOnly = regexp.MustCompile(`^([0-9]{1,4})d$`)

// sinceOf reads where a report begins: whole days begin at their midnight.
func sinceOf(s string, now time.Time, zone *time.Location) (time.Time, error) {
	today := reminder.DateOf(now.In(zone))
	if m := daysOnly.FindStringSubmatch(s); m != nil {
		days, _ := strconv.Atoi(m[1]) // four digits
		return today.AddDays(-days).At(0, zone), nil
	}
	day, err := reminder.ParseDate(s)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("--since %q is neither a number of days nor a date: write it as in 30d or 2026-11-01 (%w)", s, errUsage)
	case day.After(today):
		return time.Time{}, fmt.Errorf("--since %s has not come yet: write a day before today, %s (%w)", day, today, errUsage)
	}
	return day.At(0, zone), nil
}

// maxWithin is the longest time between a text and a payment that is counted.
const maxWithin = 60 * 24 * time.Hour

func withinOf(s string) (d time.Duration, err error) {
	if m := daysOnly.FindStringSubmatch(s); m != nil {
		days, _ := strconv.Atoi(m[1]) // four digits
		d = time.Duration(days) * 24 * time.Hour
	} else if d, err = time.ParseDuration(s); err != nil {
		d = 0
	}
	if d <= 0 || d > maxWithin {
		return 0, fmt.Errorf("--paid-within %q is no time up to 60d: write it as in 3d or 12h (%w)", s, errUsage)
	}
	return d, nil
}

// sumOf adds up counts.
func sumOf[K comparable](counts map[K]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
