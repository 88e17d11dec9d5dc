package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
	"duewatch/web"
)

// What the page shows, and how soon it is counted again.
const (
	pageDays   = 30 // as duewatch report
	pagePaid   = 3 * 24 * time.Hour
	aheadDays  = 7 // as duewatch preview
	shareToday = 50
	shareMonth = 50
	// shareAhead is a twentieth of a core.
	shareAhead = 20
	// mostAhead bounds the scratch store of a look ahead, some 150 MB: it may lie in memory.
	mostAhead = 200_000
)

// page finds out what the page shows by one config.
type page struct {
	*daemon
	cfg       *config.Config
	scheduler *scheduler.Scheduler

	today *counted[web.Today]
	month *counted[web.Month]
	ahead *counted[web.Outlook]
}

func (d *daemon) newPage(cfg *config.Config, s *scheduler.Scheduler, log *slog.Logger) *page {
	p := &page{daemon: d, cfg: cfg, scheduler: s}
	p.today = newCounted("what became of today's texts", shareToday, 5*time.Second, 15*time.Minute, log, p.countToday)
	p.month = newCounted("the last 30 days", shareMonth, time.Minute, time.Hour, log, p.countMonth)
	p.today.hurries, p.month.hurries = true, true
	p.ahead = newCounted("the next seven days", shareAhead, time.Minute, time.Hour, log, p.lookAhead)
	return p
}

// run counts until ctx ends.
func (p *page) run(ctx context.Context) error {
	var group errgroup.Group
	for _, run := range []func(context.Context){p.today.run, p.month.run, p.ahead.run} {
		group.Go(func() error { run(ctx); return nil })
	}
	return group.Wait()
}

// pageWaits is how long the page waits for numbers that are being counted.
const pageWaits = 120 * time.Millisecond

// show is the page as of now.
func (p *page) show(ctx context.Context) web.Page {
	h := p.health(ctx, p.scheduler)
	v := web.Page{
		At: p.Now(), Zone: p.cfg.Zone, Name: Speaker(p.standIns != nil), Version: p.Version,
		Alive: h.alive, Starting: !h.ready, Jobs: h.jobs, Currency: p.cfg.Currency, Price: p.cfg.Notifier.PricePerSegment,
	}
	for _, problem := range outside(h.problems) { // without names and phones
		v.Problems = append(v.Problems, web.ToDo{Text: problem.Text, Command: whatToRun(problem.Key, problem.Text)})
	}
	if !slices.ContainsFunc(h.problems, isOfStore) { // else it would be asked in vain
		p.addFromStore(ctx, &v)
	}
	if len(v.Daemons) == 0 {
		v.Daemons = []store.Member{p.itself()}
	}
	waits, cancel := context.WithTimeout(ctx, pageWaits)
	defer cancel()
	v.Today, v.Month, v.Outlook = p.today.look(waits), p.month.look(waits), p.ahead.look(waits)
	return v
}

func isOfStore(p Problem) bool { return strings.HasPrefix(p.Key, "store_") }

// addFromStore adds what is read in a moment.
func (p *page) addFromStore(ctx context.Context, v *web.Page) {
	failed := func(err error) {
		u := unread(err)
		v.Problems = append(v.Problems, web.ToDo{Text: u.Outside, Command: whatToRun(u.Key, u.Outside)})
	}
	var err error
	if v.Standing, err = p.standing(ctx, p.cfg); err != nil {
		failed(err)
		return
	}
	blockers, err := p.store.Blockers(ctx, p.cfg.Policies.Default, v.At)
	if err != nil {
		failed(err)
		return
	}
	problems := Problems{Policy: p.cfg.Policies.Default, Now: p.Now}
	for _, s := range blockers.Stops {
		v.Stopped = append(v.Stopped, web.Waiting{Reason: s.Reason, Since: s.Since, GoesOn: problems.ends(s)})
	}
	if blockers.Guard != "" {
		v.Stopped = append(v.Stopped, web.Waiting{Reason: blockers.Guard, GoesOn: GoesOn(blockers.Guard)})
	}
	if v.Daemons, err = p.store.Members(ctx); err != nil {
		failed(err)
	}
}

// ends is when a stop ends.
func (p Problems) ends(s store.Stopped) string {
	release := "by duewatch release --reason " + string(s.Reason)
	if s.Until.IsZero() {
		return release
	}
	return "at " + p.hour(s.Until) + ", when it is tried again, or " + release
}

// itself is this process, of which a store that is a file has no row.
func (p *page) itself() store.Member {
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	return store.Member{Host: host, PID: os.Getpid(), Version: p.Version, Since: p.startedAt, SeenAt: p.Now()}
}

// whatToRun is the command that says more of a problem, or ends it; "" where its text
// names one.
func whatToRun(key, text string) string {
	if strings.Contains(text, "duewatch ") || strings.Contains(text, "journalctl ") {
		return ""
	}
	switch kind, reason, _ := strings.Cut(key, ":"); kind {
	case "stop", "guard", "warning":
		return "duewatch release --reason " + reason
	case "destinations", "in_doubt":
		return "duewatch release"
	case "refused":
		return "duewatch bills --state pending"
	case "filtered":
		return "duewatch check"
	case "late", "failed", "store_read", "store_write", "store_slow", "store_lost":
		return "journalctl -u duewatch -p err"
	default:
		return "duewatch doctor"
	}
}

// newReport is a report that is counted as the command counts it, and its period.
func (p *page) newReport(
	ctx context.Context, w *worker, now time.Time, by store.Grouping, since reminder.Date,
) (*store.Report, store.Period) {
	return store.NewReport(by, p.cfg.Zone, p.cfg.Policies.Name), store.Period{
		Since: since.At(0, p.cfg.Zone), Until: now.Add(time.Millisecond), HeldMost: MaxHeld(p.cfg.Policies), PaidWithin: pagePaid, By: by,
		Progress: func(int) { w.rest(ctx) },
	}
}

// countToday counts texts alone. Of reminders it would have to read all that can have been
// held until today.
func (p *page) countToday(ctx context.Context, w *worker) (*web.Today, error) {
	now := p.Now()
	r, period := p.newReport(ctx, w, now, store.ByNothing, reminder.DateOf(now.In(p.cfg.Zone)))
	if err := p.store.ReportTexts(ctx, period, r.AddTexts); err != nil {
		return nil, err
	}
	held, err := p.store.HeldNow(ctx, store.ByNothing)
	if err != nil {
		return nil, err
	}
	r.AddHeld(held)
	today := &web.Today{At: now, Line: r.Total}
	for reason, n := range r.Total.Held {
		today.Held = append(today.Held, web.Waiting{Reason: reason, Reminders: n, GoesOn: GoesOn(reason)})
	}
	slices.SortFunc(today.Held, func(a, b web.Waiting) int {
		if a.Reminders != b.Reminders {
			return b.Reminders - a.Reminders
		}
		return strings.Compare(string(a.Reason), string(b.Reason))
	})
	return today, nil
}

func (p *page) countMonth(ctx context.Context, w *worker) (*web.Month, error) {
	now := p.Now()
	today := reminder.DateOf(now.In(p.cfg.Zone))
	m := &web.Month{At: now, Since: today.AddDays(-pageDays), PaidWithin: pagePaid}
	byDay, period := p.newReport(ctx, w, now, store.ByDay, m.Since)
	if err := p.store.ReportTexts(ctx, period, byDay.AddTexts); err != nil {
		return nil, err
	}
	byStage, period := p.newReport(ctx, w, now, store.ByStage, m.Since)
	if err := p.store.ReportReminders(ctx, period, now, byStage.AddReminders); err != nil {
		return nil, err
	}
	byDay.Total.Skipped = byStage.Total.Skipped
	m.Total = byDay.Total
	lines := map[string]*store.ReportLine{}
	for _, l := range byDay.Lines() {
		lines[l.ID] = l
	}
	for day := m.Since; !day.After(today); day = day.AddDays(1) {
		l := lines[day.String()]
		if l == nil {
			l = &store.ReportLine{ID: day.String()}
		}
		m.Days = append(m.Days, l)
	}
	for _, l := range byStage.Lines() {
		if l.Texted > 0 {
			m.Stages = append(m.Stages, l)
		}
	}
	return m, nil
}

// errEnough ends a look ahead that has found mostAhead texts.
var errEnough = errors.New("more texts than are counted")

// lookAhead decides about the days to come as the command preview does. It waits while
// texts are sent.
func (p *page) lookAhead(ctx context.Context, w *worker) (_ *web.Outlook, err error) {
	w.await = p.scheduler.AwaitRemind
	w.rest(ctx)
	s, err := store.OpenPreview(ctx, p.cfg.StoreAddress())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	now, delivery := p.Now(), p.cfg.Delivery
	o := &web.Outlook{At: now, MostTexts: mostAhead, Off: delivery.Mode == reminder.ModeOff}
	if o.Off {
		delivery.Mode = reminder.ModeLive
	}
	first := reminder.DateOf(now.In(p.cfg.Zone))
	until := first.AddDays(aheadDays).At(0, p.cfg.Zone)
	days := map[reminder.Date]*web.DayToCome{}
	o.Days = make([]web.DayToCome, aheadDays)
	for i := range o.Days {
		o.Days[i].Day = first.AddDays(i)
		days[o.Days[i].Day] = &o.Days[i]
	}
	texts := 0
	err = scheduler.Preview(ctx, scheduler.PreviewConfig{
		Store: s, Policies: p.cfg.Policies, Delivery: delivery, Remind: p.cfg.Schedule.Remind,
		SegmentsPerSecond: p.cfg.Notifier.SegmentsPerSecond, Fingerprint: p.cfg.Fingerprint(), IgnoreHolds: o.Off,
		From: now, Until: until, Replanning: func(int) { w.rest(ctx) },
	}, func(at time.Time, decided store.RoundResult) error {
		day := days[reminder.DateOf(at.In(p.cfg.Zone))]
		for _, t := range decided.Texts {
			if day != nil { // else a round went on past midnight
				day.Texts++
				day.Segments += t.Segments
			}
		}
		if texts += len(decided.Texts); texts > mostAhead {
			o.CutAt = at
			return errEnough
		}
		w.rest(ctx)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	o.Unregistered, o.Paused, err = s.CountIdle(ctx, until)
	return o, err
}

// pageURL is the address of the page in a browser on this host.
func pageURL(listens net.Addr) string {
	addr, ok := listens.(*net.TCPAddr)
	if !ok {
		return listens.String()
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "/"
}
