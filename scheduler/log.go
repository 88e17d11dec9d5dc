package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// billLog logs for one bill, by the name its service has in texts.
func (s *Scheduler) billLog(service, account string) *slog.Logger {
	return s.Log.With("service", s.Policies.Name(service), "account", account)
}

// report logs a failure that has no one to be returned to; one that comes of
// stopping is of no interest.
func (s *Scheduler) report(ctx context.Context, doing string, err error) {
	level := slog.LevelError
	switch {
	case err == nil:
		return
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		level = slog.LevelDebug
	}
	s.Log.Log(context.WithoutCancel(ctx), level, doing+" failed", "err", err)
}

// logRecord logs what was decided; a text is logged once it was handed over.
func (s *Scheduler) logRecord(r store.NewRecord) {
	level := slog.LevelInfo
	if r.Outcome == reminder.Texted || r.Reason == reminder.Superseded {
		level = slog.LevelDebug
	}
	if !s.Log.Enabled(context.Background(), level) {
		return
	}
	why := r.Detail
	if why == "" {
		why = r.Reason.Info().Means
	}
	s.billLog(r.Bill.Service, r.Bill.Account).Log(context.Background(), level, "reminder "+string(r.Outcome),
		"stage", r.Stage.String(), "due", r.Bill.DueDate.String(), "reason", string(r.Reason), "why", why)
}

// logText counts a reminder for each bill and the text once, and logs the text.
func (s *Scheduler) logText(t *store.Text, o *store.SendOutcome, now time.Time) {
	s.countText(t, o, now)
	var accounts, stages []string
	for _, part := range t.Parts {
		accounts, stages = append(accounts, part.Account), append(stages, part.Stage.String())
	}
	log := func(level slog.Level, what string, more ...slog.Attr) {
		attrs := [...]slog.Attr{
			slog.String("service", s.Policies.Name(t.Parts[0].Service)), slog.String("account", strings.Join(accounts, ", ")),
			slog.String("stage", strings.Join(stages, ", ")), slog.Any("to", t.To), slog.Int64("text", t.ID),
		}
		s.Log.LogAttrs(context.Background(), level, what, append(attrs[:], more...)...)
	}
	switch o.State {
	case store.Accepted:
		log(slog.LevelInfo, "text accepted by the provider", slog.String("sid", o.ProviderID), slog.Int("segments", t.Segments))
	case store.Unknown:
		log(slog.LevelWarn, "text in doubt: the provider may or may not have it, so it is looked up there", slog.String("err", o.Error))
	default:
		_, reason := reasonOf(o)
		log(slog.LevelWarn, "text not sent", slog.String("reason", string(reason)), slog.String("err", o.Error))
	}
}

func (s *Scheduler) countText(t *store.Text, o *store.SendOutcome, now time.Time) {
	for _, part := range t.Parts {
		switch o.State {
		case store.Accepted:
			s.Metrics.reminded(reminder.Texted, part.Reason)
			s.Metrics.late(max(0, now.Sub(part.Planned)))
		case store.Unknown:
			s.Metrics.reminded(reminder.Texted, part.Reason)
		default:
			s.Metrics.reminded(reasonOf(o))
		}
	}
	s.Metrics.textMoved(o.State)
	if o.State == store.Accepted {
		s.Metrics.taken(t.Segments, s.SegmentPrice, s.Policies.Default.Currency)
	}
}

// logSettled counts and logs a text that its callback has settled. One whose call is
// still under way is counted with its outcome.
func (s *Scheduler) logSettled(r store.Receipt) {
	if r.Settled == "" || r.Settled == store.Sending {
		return
	}
	s.Metrics.textMoved(store.Accepted)
	level, what := slog.LevelInfo, "text in doubt was settled by its callback: the provider has it"
	if r.Settled != store.Unknown {
		level, what = slog.LevelWarn, "text was taken as not sent, and its callback says that the provider has it"
	}
	s.billLog(r.Service, r.Account).Log(context.Background(), level, what, "text", r.TextID, "sid", r.ProviderID, "was", string(r.Settled))
}

func (s *Scheduler) logReceipt(r store.Receipt) {
	if r.State == store.Undelivered || r.State == store.Failed {
		s.billLog(r.Service, r.Account).Warn("text not delivered",
			"text", r.TextID, "state", string(r.State), "code", r.Code, "err", r.Error)
		return
	}
	s.billLog(r.Service, r.Account).Debug("receipt", "text", r.TextID, "state", string(r.State))
}

// logFirst is how many bills that were registered or rejected in one pass are logged
// one by one: systemd would drop the lines of an import of thousands, and with them
// others.
const logFirst = 20

// checkLog counts what came of the calls of a pass. Of what goes wrong with many bills
// only the first is logged at once.
type checkLog struct{ registered, rejected, unclear, forbidden, failed int }

// logChecks logs the results of a batch of calls, each about the bill beside it.
func (s *Scheduler) logChecks(logged *checkLog, results []store.CheckResult, bills []reminder.Bill) {
	debug := s.Log.Enabled(context.Background(), slog.LevelDebug)
	for i, r := range results {
		b, level := bills[i], slog.LevelInfo
		if isNew(b) {
			logged.registered++
		}
		if !isNew(b) || logged.registered > logFirst {
			level = slog.LevelDebug
		}
		if r.Failed+r.Rejected+b.LastError == "" && level == slog.LevelDebug && !debug {
			continue // as almost all, and there are many
		}
		switch {
		case r.Rejected != "":
			if logged.rejected++; logged.rejected <= logFirst {
				s.logRejected(b)
			}
		case r.Failed != "":
			s.logFailed(logged, r, b)
		case isNew(b):
			s.billLog(b.Service, b.Account).Log(context.Background(), level, "bill registered",
				"due", orUnknown(b.DueDate.String()), "balance", s.balance(b), "customer", b.Customer)
		default:
			s.billLog(b.Service, b.Account).Debug("bill checked", "due", orUnknown(b.DueDate.String()), "balance", s.balance(b))
		}
		if b.LastError != "" && r.Answer != nil {
			s.billLog(b.Service, b.Account).Warn("Almara Pay said something implausible, which was left out", "problem", b.LastError)
		}
	}
}

// logFailed logs that a bill was not answered about, and how it goes on.
func (s *Scheduler) logFailed(logged *checkLog, r store.CheckResult, b reminder.Bill) {
	count, level, what := &logged.failed, slog.LevelInfo, "Almara Pay could not answer; asking again later"
	switch r.Refused {
	case store.Unclear:
		count, level = &logged.unclear, slog.LevelWarn
		what = "Almara Pay refuses this bill in a form that is not known; if it does so on another day, and answers about others, " +
			"the bill is rejected: is the account right?"
	case store.Forbidden:
		count, level = &logged.forbidden, slog.LevelWarn
		what = "Almara Pay gives no right to this bill; it waits behind the others: ask Almara Pay whether its service is permitted"
	case store.NotRefused:
	}
	if *count++; *count > 1 {
		level = slog.LevelDebug
	}
	s.billLog(b.Service, b.Account).Log(context.Background(), level, what, "failures", b.Failures, "err", r.Failed)
}

// logRest logs how many bills of a pass there were in all, where not each was logged.
func (s *Scheduler) logRest(logged *checkLog) {
	for _, kind := range []struct {
		what          string
		bills, logged int
	}{
		{"bills registered; only the first are listed above", logged.registered, logFirst},
		{"Almara Pay refuses bills; only the first are listed above, duewatch bills --state rejected has them all", logged.rejected, logFirst},
		{"Almara Pay refuses bills in a form that is not known; only the first is listed above", logged.unclear, 1},
		{"Almara Pay gives no right to bills; only the first is listed above", logged.forbidden, 1},
		{"Almara Pay could not answer about bills; only the first is listed above", logged.failed, 1},
	} {
		if kind.bills > kind.logged {
			s.Log.Info(kind.what, "bills", kind.bills)
		}
	}
}

// isNew reports whether the last answer about the bill was the first. It may have
// been paused while Almara Pay was asked.
func isNew(b reminder.Bill) bool {
	watched := b.State == reminder.BillActive || b.State == reminder.BillPaused
	return watched && !b.CheckedAt.IsZero() && b.RegisteredAt.Equal(b.CheckedAt)
}

func (s *Scheduler) logRejected(b reminder.Bill) {
	s.billLog(b.Service, b.Account).Warn("Almara Pay refuses this bill; edit it or duewatch retry it to have it registered again",
		"reason", b.LastError)
}

func (s *Scheduler) balance(b reminder.Bill) string {
	if b.Balance == nil {
		return "unknown"
	}
	return s.Policies.Default.Currency + " " + b.Balance.Format(s.Policies.Default.Currency)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// logChangesEvery is how soon the log says that a stop, a guard or a warning begins or ends.
const logChangesEvery = 10 * time.Second

// logChanges logs them until ctx ends.
func (s *Scheduler) logChanges(ctx context.Context) {
	every := time.NewTicker(logChangesEvery)
	defer every.Stop()
	var active map[reminder.Reason]alarm
	for {
		active = s.logChange(ctx, active)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// logChange logs each stop, guard and warning that is not as before, whichever process
// or job wrote it: whoever reads the log alone must learn why no text leaves. It returns
// those that are active now.
func (s *Scheduler) logChange(ctx context.Context, before map[reminder.Reason]alarm) map[reminder.Reason]alarm {
	now, err := s.alarms(ctx)
	if err != nil {
		s.report(ctx, "read what holds texts", err)
		return before
	}
	for reason, is := range now {
		if _, known := before[reason]; !known {
			s.Log.Log(ctx, is.level, reason.Info().Means, "reason", string(reason), "detail", is.detail)
		}
	}
	for reason := range before {
		if _, still := now[reason]; !still {
			s.Log.Info("over: "+reason.Info().Means, "reason", string(reason))
		}
	}
	return now
}

// alarm is a stop, a guard that holds texts, or a warning.
type alarm struct {
	level  slog.Level // error where nothing leaves until somebody acts
	detail string
}

// alarms are those that are active.
func (s *Scheduler) alarms(ctx context.Context) (map[reminder.Reason]alarm, error) {
	blockers, err := s.Store.Blockers(ctx, s.Policies.Default, s.Now())
	if err != nil {
		return nil, err
	}
	active := make(map[reminder.Reason]alarm)
	for _, w := range blockers.Warnings {
		active[w.Reason] = alarm{slog.LevelWarn, w.Detail}
	}
	if blockers.Guard != "" {
		active[blockers.Guard] = alarm{slog.LevelWarn, blockers.Figures}
	}
	for _, stop := range blockers.Stops {
		level := slog.LevelError
		if !stop.Until.IsZero() {
			level = slog.LevelWarn
		}
		active[stop.Reason] = alarm{level, stop.Detail}
	}
	return active, nil
}
