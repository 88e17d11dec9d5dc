package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Pause is until when bills are kept silent, and why.
type Pause struct {
	Until  time.Time // the pause ends then by itself; zero = when the operator says so
	Detail string    // for the trail: until when, by whom and why
}

// Pause keeps the selected bills from being texted, and Almara Pay from
// being asked about them, from the next decision on. A service or a phone that
// is paused as a whole stays so for bills that are registered later, and those that
// its pages have not reached yet are under it as well. Bills that
// are rejected or removed are left alone, and so are those that are paused
// until the same instant; a selector of many also leaves those that are paused
// for longer.
func (s *Store) Pause(ctx context.Context, a BulkOp, p Pause) (BulkResult, error) {
	var rule bulkRule
	if !a.Selector.single() {
		rule.begin = func(t *tx) error { return t.writePauseRule(a, p) }
		rule.reached = func(t *tx, before, last reminder.Bill, done bool) error {
			return t.pauseReached(a.Selector, before, last, done)
		}
	}
	n, err := s.bulk(ctx, a, rule, func(b reminder.Bill) bool {
		switch b.State {
		case reminder.BillPending, reminder.BillActive:
			return true
		case reminder.BillPaused:
			// Of two pauses the longer one holds, unless this very bill is named.
			return !b.PausedUntil.Equal(p.Until) && (a.Selector.single() || !p.endsBefore(b.PausedUntil))
		case reminder.BillRejected, reminder.BillRemoved:
		}
		return false
	}, func(t *tx, b reminder.Bill) error { return t.pause(b.ID, p, a.At, "operator") })
	if err != nil {
		return n, fmt.Errorf("pause: %w", err)
	}
	return n, nil
}

// endsBefore reports whether the pause is over before another one, that lasts
// until an instant or, at zero, until the operator ends it.
func (p Pause) endsBefore(other time.Time) bool {
	return !p.Until.IsZero() && (other.IsZero() || p.Until.Before(other))
}

// errStaysPaused means that a pause of a service or a phone still holds a bill when
// another one has ended.
var errStaysPaused = errors.New("it stays paused")

// Resume ends the pause of the selected bills, and that of a service or a
// phone as a whole. A bill that another such pause still holds stays under that one,
// but for a bill that is named by its account. Each is asked about again, and what was
// missed meanwhile is caught up with as after a downtime.
func (s *Store) Resume(ctx context.Context, a BulkOp, policies reminder.Policies) (BulkResult, error) {
	var rule bulkRule
	if !a.Selector.single() {
		rule.begin = func(t *tx) error {
			_, err := t.Exec("DELETE FROM pauses WHERE service = ?1 AND phone = ?2", a.Selector.Service, a.Selector.Phone.E164())
			return err
		}
	}
	paused := func(b reminder.Bill) bool { return b.State == reminder.BillPaused }
	n, err := s.bulk(ctx, a, rule, paused, func(t *tx, b reminder.Bill) error {
		if err := t.checkNoUnfinishedPause(b, a.At); err != nil {
			return err
		}
		if !a.Selector.single() {
			over, err := t.surelyPast(a.At) // as in pausedWhenNew
			if err != nil {
				return err
			}
			if still, err := t.pausedByRule(&b, time.UnixMilli(over)); err != nil || still {
				return cmp.Or(err, errStaysPaused)
			}
		}
		many := a.Selector.Account == "" && a.Selector.Phone == ""
		next, err := t.resume(&b, policies.For(b.Service), many, Event{At: a.At, Reason: "operator", Detail: "by " + a.Who})
		if err != nil {
			return err
		}
		return t.schedule(dueRemind, b.ID, next)
	})
	if err != nil {
		return n, fmt.Errorf("resume: %w", err)
	}
	return n, nil
}

// writePauseRule pauses a service or a phone for the bills to come, and for those that
// there are, of which none is reached yet.
func (t *tx) writePauseRule(a BulkOp, p Pause) error {
	over, err := t.surelyPast(a.At)
	if err != nil {
		return err
	}
	if _, err := t.Exec("DELETE FROM pauses WHERE until_at <= ?1", over); err != nil {
		return err
	}
	_, err = t.Exec(`INSERT INTO pauses (service, phone, since, until_at, detail, reached_id, reached_account)
		VALUES (?1, ?2, ?3, ?4, ?5, 0, '') ON CONFLICT (service, phone) DO UPDATE
		SET until_at = excluded.until_at, detail = excluded.detail, reached_id = excluded.reached_id, reached_account = excluded.reached_account`,
		a.Selector.Service, a.Selector.Phone.E164(), a.At.UnixMilli(), millis(p.Until), p.Detail)
	return err
}

func (t *tx) pause(billID int64, p Pause, now time.Time, why string) error {
	if _, err := t.Exec(`UPDATE bills SET state = 'paused', paused_at = CASE state WHEN 'paused' THEN paused_at ELSE ?2 END,
		paused_until = ?3 WHERE id = ?1`, billID, now.UnixMilli(), millis(p.Until)); err != nil {
		return err
	}
	for _, q := range []queue{dueRegister, dueRecheck} {
		if err := t.schedule(q, billID, time.Time{}); err != nil {
			return err
		}
	}
	if err := t.schedule(dueRemind, billID, p.Until); err != nil {
		return err
	}
	return t.event(Event{At: now, BillID: billID, What: "paused", Reason: why, Detail: p.Detail})
}

// pausedByRule pauses an active bill, if its service or its phone is paused as
// a whole: by the rule that lasts longest. It is asked whenever a bill becomes
// active, or comes to another phone.
func (t *tx) pausedByRule(b *reminder.Bill, now time.Time) (paused bool, err error) {
	var p Pause
	err = t.Row(`SELECT until_at, detail FROM pauses WHERE service IN ('', ?1) AND phone IN ('', ?2) AND (until_at IS NULL OR until_at > ?3)
		ORDER BY until_at IS NOT NULL, until_at DESC LIMIT 1`, b.Service, b.Phone.E164(), now.UnixMilli()).Scan(db.InstantTo(&p.Until), &p.Detail)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read pauses: %w", err)
	}
	b.State, b.PausedAt, b.PausedUntil = reminder.BillPaused, now, p.Until
	return true, t.pause(b.ID, p, now, "rule")
}

// resume makes a paused bill what it would be without the pause, and returns
// when the remind job should evaluate it; zero = it need not. The event says
// when, by whom and why.
func (t *tx) resume(b *reminder.Bill, policy *reminder.Policy, oneOfMany bool, e Event) (next time.Time, err error) {
	since, now := b.PausedAt, e.At
	b.Resume()
	if _, err := t.Exec("UPDATE bills SET state = ?2, paused_at = NULL, paused_until = NULL WHERE id = ?1", b.ID, b.State); err != nil {
		return next, err
	}
	e.BillID, e.What = b.ID, "resumed"
	if err := t.event(e); err != nil {
		return next, err
	}
	if b.State == reminder.BillPending {
		return next, t.schedule(dueRegister, b.ID, now)
	}
	done, err := t.recordsOf(*b)
	if err != nil {
		return next, err
	}
	// By a clock that is ahead, a pause begins after stages that it kept silent:
	// while no clock is believed, the stages since the last time that one was are evaluated, too.
	unsure, err := t.stopped(reminder.ClockUnsure)
	if err != nil {
		return next, err
	}
	if unsure {
		sure, err := t.surelyPast(since)
		if err != nil {
			return next, err
		}
		since = time.UnixMilli(sure)
	}
	return policy.EvalAfterPause(*b, since, done, now), t.schedule(dueRecheck, b.ID, policy.CheckAfterPause(*b, oneOfMany, now))
}

// applyPauses pauses a bill that the pause of its service or phone has yet to reach,
// and ends the bill's own pause when its time is over. It reports whether a decision
// about the bill is due now.
func (d *decider) applyPauses(b *reminder.Bill) (isDue bool, err error) {
	if p, err := d.unfinishedPauseOf(*b); err != nil {
		return false, err
	} else if p != nil {
		return false, d.pause(b.ID, *p, d.Now, "rule")
	}
	if b.State != reminder.BillPaused || b.PausedUntil.IsZero() || d.Now.Before(b.PausedUntil) {
		return true, nil
	}
	next, err := d.resume(b, d.Policies.For(b.Service), true,
		Event{At: d.Now, Reason: "rule", Detail: "the time of the pause is over"})
	if err != nil {
		return false, err
	}
	// Its own pause is over, but that of its service or phone may not be.
	if paused, err := d.pausedByRule(b, d.Now); err != nil || paused {
		return false, err
	}
	if next.IsZero() || next.After(d.Now) {
		return false, d.schedule(dueRemind, b.ID, next)
	}
	return true, nil
}

// pausedWhenNew is pausedByRule for a bill that was just registered.
func (t *tx) pausedWhenNew(w *checkBatch, b *reminder.Bill) error {
	if w.pauses == nil {
		w.pauses = new(bool)
		if err := t.Row("SELECT EXISTS (SELECT 1 FROM pauses)").Scan(w.pauses); err != nil {
			return fmt.Errorf("read pauses: %w", err)
		}
	}
	if !*w.pauses {
		return nil
	}
	if err := t.write(w); err != nil {
		return err
	}
	// A bill that is new while the clock is ahead must not slip past a pause that
	// seems to be over: one that is over indeed ends when the bill is next evaluated.
	over, err := t.surelyPast(w.now)
	if err != nil {
		return err
	}
	_, err = t.pausedByRule(b, time.UnixMilli(over))
	return err
}

// PausedWhole is a service or a phone that is paused as a whole.
type PausedWhole struct {
	Service string // "" = every one
	Phone   reminder.Phone
	Since   time.Time
	// Unfinished means that it has yet to reach some of its bills: its command is at
	// work, or was interrupted.
	Unfinished bool
	Pause
}

// Pauses reads the services and phones that are paused as a whole.
func (s *Store) Pauses(ctx context.Context, now time.Time) ([]PausedWhole, error) {
	rows := s.read(ctx).Query(`SELECT service, phone, since, reached_id IS NOT NULL, until_at, detail FROM pauses
		WHERE until_at IS NULL OR until_at > ?1 ORDER BY service, phone`, now.UnixMilli())
	all, err := db.Collect(rows, func(r db.Scanner) (p PausedWhole, err error) {
		err = r.Scan(&p.Service, &p.Phone, db.InstantTo(&p.Since), &p.Unfinished, db.InstantTo(&p.Until), &p.Detail)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read pauses: %w", err)
	}
	return all, nil
}
