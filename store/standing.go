package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"duewatch/reminder"
)

// querier is what a write transaction and the pool for reading have in common.
//
// Each connection keeps its statements prepared. But SQLite prepares one anew where
// its plan may depend on a value that is bound, such as that of LIMIT ?1, or of a
// column = ?1 where another index may do: so it is LIMIT +?1 everywhere, and
// = +?1 where it mattered. An expression's value is not looked at.
// SQLite could be told so as a whole (SQLITE_DBCONFIG_ENABLE_QPSG), but not by this driver.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Standing reads what holds for all bills alike: the stop, the guards' figures
// and what the operator has lifted.
func (s *Store) Standing(ctx context.Context, p *reminder.Policy, now time.Time) (reminder.Standing, error) {
	st, err := standing(ctx, s.read, p, now)
	if err != nil {
		return st, fmt.Errorf("read how sending stands: %w", err)
	}
	return st, nil
}

func standing(ctx context.Context, q querier, p *reminder.Policy, now time.Time) (s reminder.Standing, err error) {
	stops, err := stopsAt(ctx, q, now)
	if err != nil {
		return s, err
	}
	if len(stops) > 0 {
		s.Stop = &stops[0].Stop
	}
	if s.Doubts, err = lastDoubts(ctx, q); err != nil {
		return s, err
	}
	if err := readUsage(ctx, q, p, now, &s); err != nil {
		return s, err
	}
	recentFrom := now.Add(-reminder.RecentFor)
	if recentFrom, err = readLifts(ctx, q, now, recentFrom, &s); err != nil {
		return s, err
	}
	if p.Guards.MaxFailureRate > 0 {
		err = readRecent(ctx, q, recentFrom, &s)
	}
	return s, err
}

func readUsage(ctx context.Context, q querier, p *reminder.Policy, now time.Time, s *reminder.Standing) error {
	today := reminder.DateOf(now.In(p.Zone))
	midnight := today.At(0, p.Zone)
	month := today.AddDays(1-today.Day()).At(0, p.Zone)
	history := today.AddDays(-reminder.MedianDays).At(0, p.Zone)
	from := month
	if history.Before(from) {
		from = history
	}
	rows, err := q.QueryContext(ctx, "SELECT since, texts, segments FROM usage WHERE since >= ?1", from.UnixMilli())
	if err != nil {
		return explain(err)
	}
	type day struct {
		since           time.Time
		texts, segments int
	}
	days, err := collect(rows, func(r row) (d day, err error) {
		err = r.Scan(instantColumn{&d.since}, &d.texts, &d.segments)
		return d, err //nolint:wrapcheck // names the column
	})
	if err != nil {
		return err
	}
	var before []int
	for _, d := range days {
		if !d.since.Before(month) {
			s.Month += d.segments
		}
		switch {
		case d.since.Equal(midnight):
			s.Today = d.texts
		case d.since.Before(midnight) && !d.since.Before(history):
			before = append(before, d.texts)
		}
	}
	s.Median = reminder.MedianDay(before)
	return nil
}

// readLifts returns from when on texts count as recent: those that the
// operator has looked at and let pass do not.
func readLifts(ctx context.Context, q querier, now, recentFrom time.Time, s *reminder.Standing) (time.Time, error) {
	rows, err := q.QueryContext(ctx, "SELECT guard, since FROM lifts WHERE until_at > ?1", now.UnixMilli())
	if err != nil {
		return recentFrom, explain(err)
	}
	_, err = collect(rows, func(r row) (struct{}, error) {
		var guard reminder.Reason
		var since time.Time
		err := r.Scan(&guard, instantColumn{&since})
		switch {
		case guard == reminder.FailureRate && since.After(recentFrom):
			recentFrom = since
		case guard != reminder.FailureRate:
			if s.Lifted == nil {
				s.Lifted = make(map[reminder.Reason]bool)
			}
			s.Lifted[guard] = true
		}
		return struct{}{}, err //nolint:wrapcheck // names the column
	})
	return recentFrom, err
}

// readRecent counts how the last texts fared: refused for what they are,
// refused later, or lost. What was given back for another reason, such as a
// provider that asked to slow down, says nothing.
func readRecent(ctx context.Context, q querier, from time.Time, s *reminder.Standing) error {
	rows, err := q.QueryContext(ctx, "SELECT state, refused_for, created_at FROM texts ORDER BY id DESC LIMIT +?1", reminder.RecentTexts)
	if err != nil {
		return explain(err)
	}
	_, err = collect(rows, func(r row) (struct{}, error) {
		var state TextState
		var why reminder.Reason
		var created time.Time
		if err := r.Scan(&state, &why, instantColumn{&created}); err != nil || !created.After(from) {
			return struct{}{}, err //nolint:wrapcheck // names the column
		}
		switch state {
		case Sending:
		case Refused:
			switch why {
			case reminder.BadNumber, reminder.TextRefused, reminder.RefusalUnclear, reminder.TryApart:
				s.Recent++
				s.Failed++
			default:
			}
		case Unknown, NotFound, Undelivered, Failed:
			if why == reminder.ShuttingDown {
				break // our own end left it in doubt
			}
			s.Recent++
			s.Failed++
			if why == reminder.TextRefused || why == reminder.TryApart {
				s.Filtered++
			}
		case Accepted, Sent, Delivered, Canceled, Unconfirmed:
			s.Recent++
		}
		return struct{}{}, nil
	})
	return err
}

// used counts texts for the day on which they are handed over.
func (t *tx) used(r Round, texts []Text) error {
	n, segments := 0, 0
	for _, text := range texts {
		if text.ID != 0 {
			n, segments = n+1, segments+text.Segments
		}
	}
	if n == 0 {
		return nil
	}
	zone := r.Policies.Default.Zone
	midnight := reminder.DateOf(r.Now.In(zone)).At(0, zone)
	_, err := t.exec(`INSERT INTO usage (since, texts, segments) VALUES (?1, ?2, ?3)
		ON CONFLICT (since) DO UPDATE SET texts = usage.texts + excluded.texts, segments = usage.segments + excluded.segments`,
		midnight.UnixMilli(), n, segments)
	return err
}

// unused takes a text out of its day's count: the provider does not have it.
func (t *tx) unused(textID int64) error {
	_, err := t.exec(`UPDATE usage SET texts = texts - 1, segments = segments - (SELECT segments FROM texts WHERE id = ?1)
		WHERE texts > 0 AND since = (SELECT max(since) FROM usage WHERE since <= (SELECT created_at FROM texts WHERE id = ?1))`, textID)
	return err
}

// metaSeen is the latest instant at which something was learned, in
// milliseconds: no balance is younger.
const metaSeen = "seen_at"

func (t *tx) seen(now time.Time) error {
	_, err := t.exec(`INSERT INTO meta (key, value) VALUES (?1, ?2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE meta.value < excluded.value`, metaSeen, strconv.FormatInt(now.UnixMilli(), 10))
	return err
}

// Seen is the latest instant at which something was learned; zero = never. An
// earlier clock was set back since.
func (s *Store) Seen(ctx context.Context) (time.Time, error) {
	value, err := s.Meta(ctx, metaSeen)
	if err != nil || value == "" {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", metaSeen, err)
	}
	return time.UnixMilli(ms), nil
}

// ClockSetBack forgets the age of every balance that was learned after now: when
// the clock comes round to that hour again, it would look fresh and be old.
// Stops that end by themselves end, since their hour may be far. Bills that
// something was learned or decided about at hours still to come are looked at
// again: a stage that seemed to be over may be useful yet. It reads all bills.
func (s *Store) ClockSetBack(_ context.Context, now time.Time) (forgotten int64, err error) {
	err = s.do(func(t *tx) error {
		r, err := t.exec("UPDATE bills SET balance_at = NULL WHERE balance_at > ?1", now.UnixMilli())
		if err != nil {
			return err
		}
		if forgotten, err = r.RowsAffected(); err != nil {
			return explain(err)
		}
		if err := t.endTimedStops(); err != nil {
			return err
		}
		for _, ahead := range []string{"DELETE FROM answer_minutes WHERE minute > ?1", "DELETE FROM doubted_payments WHERE since > ?1"} {
			if _, err := t.exec(ahead, now.UnixMilli()); err != nil {
				return err
			}
		}
		if err := t.lookAgain(now); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE meta SET value = ?2 WHERE key = ?1", metaSeen, strconv.FormatInt(now.UnixMilli(), 10)); err != nil {
			return err
		}
		return t.event(Event{At: now, What: "clock_set_back", Reason: "clock", Detail: fmt.Sprintf("%d balances have an unknown age", forgotten)})
	})
	if err != nil {
		return 0, fmt.Errorf("notice a clock that was set back: %w", err)
	}
	return forgotten, nil
}

// lookAgain has the remind job look at the bills of the events that are later
// than now, which are the last ones: at once, whatever it was put off to, and
// also at stages that ended by the hour alone.
func (t *tx) lookAgain(now time.Time) error {
	var last int64 // event that is not later
	err := t.row("SELECT coalesce((SELECT id FROM events WHERE at <= ?1 ORDER BY id DESC LIMIT 1), 0)", now.UnixMilli()).Scan(&last)
	if err != nil {
		return explain(err)
	}
	rows, err := t.query(`UPDATE reminders SET outcome = 'held', reason = ?2, decided_at = ?1
		WHERE bill_id IN (SELECT bill_id FROM events WHERE id > ?3) AND outcome = 'skipped' AND reason IN (?4, ?5) AND decided_at > ?1
			AND due_date = (SELECT due_date FROM bills WHERE id = bill_id)
		RETURNING bill_id, stage, due_date`,
		now.UnixMilli(), reminder.ClockSetBack, last, reminder.Expired, reminder.Superseded)
	if err != nil {
		return err
	}
	again, err := collect(rows, func(r row) (e Event, err error) {
		var stage reminder.Stage
		var due reminder.Date
		err = r.Scan(&e.BillID, &stage, dayColumn{&due})
		e.At, e.What, e.Reason = now, string(reminder.Held), string(reminder.ClockSetBack)
		e.Detail = fmt.Sprintf("%s, due %s: %s", stage, due, reminder.ClockSetBack.Info().Means)
		return e, err //nolint:wrapcheck // names the column
	})
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO due_remind (bill_id, at) SELECT id, ?1 FROM bills
			WHERE id IN (SELECT bill_id FROM events WHERE id > ?2) AND state = 'active'
		ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at, owner = NULL WHERE due_remind.at > excluded.at`, now.UnixMilli(), last)
	if err != nil {
		return err
	}
	return t.events(again)
}
