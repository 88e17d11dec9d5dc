package daemon

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"duewatch/alerts"
	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// digest is the report of the day before the one on which it was due, however late it is made: what was
// sent and what was not, what it cost, who paid, and what there is to do. It names no customer.
func (d *daemon) digest(ctx context.Context, cfg *config.Config, now time.Time, problems []alerts.Problem) (m alerts.Message, err error) {
	g := digest{d: d, cfg: cfg, now: now, day: lastDue(*d.alerts.digestAt, now, cfg.Zone).AddDays(-1)}
	for _, part := range []func(context.Context) error{g.texts, g.reminders, g.waiting, g.cost, g.paid, g.bills} {
		if err := part(ctx); err != nil {
			return m, err
		}
	}
	g.toDo(problems)
	m.Title = "daily report, " + CountOf(g.handedOver, "text") + " on " + dayName(g.day)
	if len(problems) > 0 {
		m.Title += ", " + CountOf(len(problems), "problem")
	}
	m.Body = strings.Join(g.lines, "\n")
	return m, nil
}

// digest is one report while it is written.
type digest struct {
	d          *daemon
	cfg        *config.Config
	now        time.Time
	day        reminder.Date
	lines      []string
	handedOver int
	segments   int
}

func dayName(d reminder.Date) string { return d.At(12*60, time.UTC).Format("Mon 2 Jan") }

func (g *digest) line(format string, args ...any) {
	g.lines = append(g.lines, fmt.Sprintf(format, args...))
}

// period is from the beginning of a day to that of another.
func (g *digest) period(from, to reminder.Date) store.Period {
	return store.Period{
		Since: from.At(0, g.cfg.Zone), Until: to.At(0, g.cfg.Zone), HeldMost: MaxHeld(g.cfg.Policies), PaidWithin: digestPaidWithin,
	}
}

func (g *digest) texts(ctx context.Context) error {
	counted := g.newReport()
	if err := g.d.store.ReportTexts(ctx, g.period(g.day, g.day.AddDays(1)), counted.AddTexts); err != nil {
		return err
	}
	t := counted.Total
	g.handedOver, g.segments = t.HandedOver(), t.Segments
	g.line("%s, mode %s.", dayName(g.day), g.cfg.Delivery.Mode)
	g.line("Sent: %s; %d delivered, %d on their way, %d unconfirmed, %d failed, %d not taken by the provider.",
		CountOf(g.handedOver, "text"), t.Delivered, t.OnTheWay, t.Unconfirmed, t.Failed, t.NotSent)
	codes := map[string]int{}
	for code, n := range t.Codes {
		codes[fmt.Sprint(code)] += n
	}
	for reason, n := range t.Refused {
		codes[string(reason)] += n
	}
	if len(codes) > 0 {
		g.line("Failed or not taken, by code or reason: %s.", counts(codes))
	}
	return nil
}

func (g *digest) newReport() *store.Report {
	return store.NewReport(store.ByNothing, g.cfg.Zone, g.cfg.Policies.Name)
}

func (g *digest) reminders(ctx context.Context) error {
	counted := g.newReport()
	err := g.d.store.ReportReminders(ctx, g.period(g.day, g.day.AddDays(1)), g.now, counted.AddReminders)
	if skipped := counted.Total.Skipped; err == nil && len(skipped) > 0 {
		g.line("Skipped: %s.", counts(skipped))
	}
	return err
}

// waiting is what is held and in doubt at this moment.
func (g *digest) waiting(ctx context.Context) error {
	held, err := g.d.store.Held(ctx)
	if err != nil {
		return err
	}
	doubt, err := g.d.store.InDoubt(ctx)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		g.line("Held now: none.")
	}
	for _, h := range held {
		g.line("Held now: %s: %s.", CountOf(h.Count, "reminder"), why(h.Reason))
	}
	g.line("In doubt now: %d.", doubt.Texts)
	return nil
}

func why(r reminder.Reason) string { return string(r) + ", " + r.Info().Means }

func (g *digest) cost(ctx context.Context) error {
	guards, err := g.d.store.GuardState(ctx, g.cfg.Policies.Default, g.now)
	if err != nil {
		return err
	}
	price := func(segments int) string {
		p := g.cfg.Notifier.PricePerSegment
		if p == nil {
			return ""
		}
		return fmt.Sprintf(", %s %s", g.cfg.Currency, p.Times(float64(segments)).Format(g.cfg.Currency))
	}
	limit := ""
	if most := g.cfg.Guards.MonthlySegments; most > 0 {
		limit = fmt.Sprintf(" of %d allowed", most)
	}
	g.line("Cost: %s%s; this month %d%s%s.", CountOf(g.segments, "segment"), price(g.segments), guards.Month, limit, price(guards.Month))
	return nil
}

// Who has paid can be told of reminders that are older than digestPaidWithin; of fewer
// days than digestPaidDays there is little to say on a quiet one.
const (
	digestPaidWithin = 3 * 24 * time.Hour
	digestPaidDays   = 7
)

func (g *digest) paid(ctx context.Context) error {
	to := g.day.AddDays(1 - int(digestPaidWithin/(24*time.Hour)))
	counted := g.newReport()
	err := g.d.store.ReportReminders(ctx, g.period(to.AddDays(-digestPaidDays), to), g.now, counted.AddReminders)
	if paid, of := counted.Total.Paid, counted.Total.PaidOf; err == nil && of > 0 {
		g.line("Paid within 3 days: %d of %s from %s to %s (%.0f%%).",
			paid, CountOf(of, "reminder"), dayName(to.AddDays(-digestPaidDays)), dayName(to.AddDays(-1)), 100*float64(paid)/float64(of))
	}
	return err
}

func (g *digest) bills(ctx context.Context) error {
	n, err := g.d.store.BillsByState(ctx)
	if err == nil {
		g.line("Bills: %d active, %d pending, %d paused, %d rejected.",
			n[reminder.BillActive], n[reminder.BillPending], n[reminder.BillPaused], n[reminder.BillRejected])
	}
	return err
}

func (g *digest) toDo(problems []alerts.Problem) {
	if len(problems) == 0 {
		g.line("To do: nothing.")
		return
	}
	g.line("To do:")
	for _, p := range problems {
		g.line("- %s", p.Text)
	}
}

// counts lists counts, the highest first.
func counts[K cmp.Ordered](of map[K]int) string {
	keys := slices.SortedFunc(maps.Keys(of), func(a, b K) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = fmt.Sprintf("%v %d", k, of[k])
	}
	return strings.Join(words, ", ")
}

// MaxHeld is the longest time that a reminder can be of use, with some days for
// holidays.
func MaxHeld(all reminder.Policies) time.Duration {
	days := 0
	of := func(p *reminder.Policy) {
		if len(p.Stages) > 0 {
			days = max(days, -int(p.Stages[0]))
		}
	}
	of(all.Default)
	for _, p := range all.ByService {
		of(p)
	}
	return time.Duration(days+30) * 24 * time.Hour
}
