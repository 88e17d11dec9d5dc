package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// The latest instants at which Almara Pay answered, in milliseconds: by a clock
// that was vouched for, and by one that was not. No balance is younger.
const (
	metaSeen       = "seen_at"
	metaSeenUnsure = "seen_at_unsure"
)

// TrustClock says whether the clock by which the daemon writes is vouched for.
// While it is not, an answer does not count as an instant seen: else an
// error of years would vouch for itself.
func (s *Store) TrustClock(sure bool) { s.unsure.Store(!sure) }

// WroteUnsure reports whether an answer was recorded by a clock that nobody vouched
// for, since one was last believed.
func (s *Store) WroteUnsure(ctx context.Context) (bool, error) {
	at, err := instantOf(s.read(ctx), metaSeenUnsure)
	return !at.IsZero(), err
}

// recordSeen keeps the instant of an answer; zero = there was none.
func (t *tx) recordSeen(s *Store, now time.Time) error {
	if now.IsZero() {
		return nil
	}
	key := metaSeen
	if s.unsure.Load() {
		key = metaSeenUnsure
	}
	_, err := t.Exec(`INSERT INTO meta (key, value) VALUES (?1, ?2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)`,
		key, strconv.FormatInt(now.UnixMilli(), 10))
	return err
}

// surelyPast is an instant that is past, whatever the clock shows: now, or the latest
// instant that a clock that was vouched for has seen, if that is earlier. What a
// wrong clock must not end is ended by it.
func (t *tx) surelyPast(now time.Time) (ms int64, err error) {
	err = t.Row("SELECT coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?1), ?2)", metaSeen, now.UnixMilli()).Scan(&ms)
	return min(ms, now.UnixMilli()), err
}

// Seen is the latest instant at which an answer was recorded by a clock that was
// vouched for; zero = never.
func (s *Store) Seen(ctx context.Context) (time.Time, error) { return instantOf(s.read(ctx), metaSeen) }

// Latest is the latest instant that the store knows of: of the answers, by
// whatever clock, and of the end of the trail; zero = none. An earlier clock was
// set back since.
func (s *Store) Latest(ctx context.Context) (latest time.Time, err error) {
	for _, key := range []string{metaSeen, metaSeenUnsure} {
		at, err := instantOf(s.read(ctx), key)
		if err != nil {
			return latest, err
		}
		if at.After(latest) {
			latest = at
		}
	}
	rows := s.read(ctx).Query("SELECT at, what FROM events ORDER BY id DESC LIMIT ?1 + 0", lastEvents)
	putRight := false // what is older was put right by ClockSet
	_, err = db.Collect(rows, func(r db.Scanner) (at time.Time, err error) {
		var what string
		if err = r.Scan(db.InstantTo(&at), &what); !putRight && at.After(latest) {
			latest = at
		}
		putRight = putRight || what == clockSet
		return at, err
	})
	if err != nil {
		return latest, fmt.Errorf("read the end of the trail: %w", err)
	}
	return latest, nil
}

// lastEvents is how many of the last events Latest reads. The very last may be a command's,
// given once the clock was right.
const lastEvents = 1000

// clockSet is the event that ClockSet leaves.
const clockSet = "clock_set"

// TrailBegan is the instant of the first event that there is; zero = none.
func (s *Store) TrailBegan(ctx context.Context) (at time.Time, err error) {
	err = s.read(ctx).Row("SELECT at FROM events ORDER BY id LIMIT 1").Scan(db.InstantTo(&at))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("read the beginning of the trail: %w", err)
	}
	return at, nil
}

// DistrustClock stops sending because nobody vouches for the clock, and says why
// as of now: the reason may become another one while the stop stands.
func (s *Store) DistrustClock(now time.Time, why string) error {
	err := s.do(func(t *tx) error {
		if err := t.stopSending(now, reminder.Stop{Reason: reminder.ClockUnsure, Detail: why}); err != nil {
			return err
		}
		_, err := t.Exec("UPDATE stops SET detail = ?2 WHERE reason = ?1 AND detail <> ?2", reminder.ClockUnsure, why)
		return err
	})
	if err != nil {
		return fmt.Errorf("stop sending: %w", err)
	}
	return nil
}

// BelieveClock ends the stop for a clock that nobody vouched for, and keeps now as
// an instant that was seen.
func (s *Store) BelieveClock(now time.Time) error {
	s.TrustClock(true)
	err := s.do(func(t *tx) error {
		if _, err := t.Exec("DELETE FROM stops WHERE reason = ?1", reminder.ClockUnsure); err != nil {
			return err
		}
		return t.recordSeen(s, now)
	})
	if err != nil {
		return fmt.Errorf("believe the clock: %w", err)
	}
	return nil
}

// What is put off for longer than these was put off by a clock that was ahead:
// they are longer than the longest back-off, pause between checks and pause
// between polls of a text.
const (
	registerMost = 2 * 24 * time.Hour
	recheckMost  = 13 * 24 * time.Hour
	receiptMost  = 24 * time.Hour
	// Refused destinations wait for a day at most.
	destinationMost = retryDestinationMost
)

// ClockSet puts right, once the clock is believed again, what was written by one
// that was ahead, or is now to come again. It forgets the age of every balance
// that was said after now: when the clock comes round to that hour again, it
// would look fresh and be old. Stops that end by themselves end, since their hour
// may be far; what was put off to such hours is due now. Bills that something was
// recorded or decided about at hours still to come are evaluated again: a stage
// that seemed to be over may be useful yet. A text in doubt is looked up no
// earlier than at lookUp, since nobody knows how long ago the last look-up was. It
// reads all bills.
func (s *Store) ClockSet(now, lookUp time.Time) (forgotten int64, err error) {
	first, err := s.firstAhead(now)
	if err != nil {
		return 0, fmt.Errorf("find what another clock wrote: %w", err)
	}
	err = s.do(func(t *tx) error {
		r, err := t.Exec("UPDATE bills SET balance_at = NULL WHERE balance_at > ?1", now.UnixMilli())
		if err != nil {
			return err
		}
		if forgotten, err = r.RowsAffected(); err != nil {
			return err
		}
		if err := t.endTimedStops(); err != nil {
			return err
		}
		if err := t.advanceFarEntries(now, lookUp); err != nil {
			return err
		}
		for _, ahead := range []string{
			"DELETE FROM answer_minutes WHERE minute > ?1",
			"DELETE FROM doubted_payments WHERE since > ?1",
			"DELETE FROM overrides WHERE since > ?1", // until their midnight, which may be years away
			"DELETE FROM usage WHERE since > ?1",
			"DELETE FROM meta WHERE key LIKE '" + metaReleased + "%' AND CAST(value AS BIGINT) > ?1",
			"UPDATE rejections SET at = ?1 WHERE at > ?1", // else they would count until then
		} {
			if _, err := t.Exec(ahead, now.UnixMilli()); err != nil {
				return err
			}
		}
		if err := t.reevaluate(now, first); err != nil {
			return err
		}
		if _, err := t.Exec("UPDATE meta SET value = ?2 WHERE key = ?1 AND CAST(value AS BIGINT) > CAST(?2 AS BIGINT)",
			metaSeen, strconv.FormatInt(now.UnixMilli(), 10)); err != nil {
			return err
		}
		if _, err := t.Exec("DELETE FROM meta WHERE key = ?1", metaSeenUnsure); err != nil {
			return err
		}
		return t.event(Event{At: now, What: clockSet, Reason: "clock", Detail: fmt.Sprintf("%d balances have an unknown age", forgotten)})
	})
	if err != nil {
		return 0, fmt.Errorf("put right what another clock wrote: %w", err)
	}
	return forgotten, nil
}

// advanceFarEntries has what was put off further than anything is be due now.
func (t *tx) advanceFarEntries(now, lookUp time.Time) error {
	for _, put := range []struct {
		sql  string
		most time.Duration
	}{
		{"UPDATE due_register SET at = ?1 WHERE at > ?2", registerMost},
		{"UPDATE due_recheck SET at = ?1 WHERE at > ?2", recheckMost},
		{"UPDATE texts SET next_poll_at = ?1 WHERE next_poll_at > ?2", receiptMost},
		{"UPDATE refused_destinations SET until_at = ?1 WHERE until_at > ?2", destinationMost},
	} {
		if _, err := t.Exec(put.sql, now.UnixMilli(), now.Add(put.most).UnixMilli()); err != nil {
			return err
		}
	}
	_, err := t.Exec("UPDATE texts SET next_poll_at = ?1 WHERE "+inDoubt+" AND state = 'unknown'", lookUp.UnixMilli())
	return err
}

// firstAhead is the first event that is later than now. Events that are not may follow:
// those that were written once the clock was right, and before it was believed.
func (s *Store) firstAhead(now time.Time) (id int64, err error) {
	// Not within the transaction: it reads all events, and other writes go on.
	err = s.read(context.Background()).Row("SELECT coalesce(min(id), ?2) FROM events WHERE at > ?1",
		now.UnixMilli(), int64(math.MaxInt64)).Scan(&id)
	return id, err
}

// reevaluate has the remind job evaluate the bills of the events from the first on that
// are later than now (+ and DISTINCT have these read first, and once): at once, whatever they were put off to, and also those whose stages
// ended by the hour alone.
func (t *tx) reevaluate(now time.Time, first int64) error {
	rows := t.Query(`UPDATE reminders SET outcome = 'held', reason = ?2, decided_at = ?1
		WHERE bill_id IN (SELECT DISTINCT +bill_id FROM events WHERE id >= ?3 AND at > ?1)
			AND outcome = 'skipped' AND reason IN (?4, ?5) AND decided_at > ?1
			AND due_date = (SELECT due_date FROM bills WHERE id = bill_id)
		RETURNING bill_id, stage, due_date`,
		now.UnixMilli(), reminder.ClockSetBack, first, reminder.Expired, reminder.Superseded)
	again, err := heldAgain(rows, now, reminder.ClockSetBack)
	if err != nil {
		return err
	}
	_, err = t.Exec(`INSERT INTO due_remind (bill_id, at) SELECT id, ?1 FROM
			(SELECT DISTINCT +bill_id AS bill FROM events WHERE id >= ?2 AND at > ?1) AS ahead CROSS JOIN bills
			WHERE id = bill AND state = 'active'
		ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at, owner = NULL WHERE due_remind.at > excluded.at`, now.UnixMilli(), first)
	if err != nil {
		return err
	}
	return t.events(again)
}
