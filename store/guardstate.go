package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// GuardState reads what holds for all bills alike: the stop, the guards' figures
// and which guards the operator has overridden.
func (s *Store) GuardState(ctx context.Context, p *reminder.Policy, now time.Time) (reminder.GuardState, error) {
	st, err := guardState(s.read(ctx), p, now)
	if err != nil {
		return st, fmt.Errorf("read the guards: %w", err)
	}
	return st, nil
}

func guardState(q db.Reader, p *reminder.Policy, now time.Time) (s reminder.GuardState, err error) {
	stops, err := stopsAt(q, now)
	if err != nil {
		return s, err
	}
	if len(stops) > 0 {
		s.Stop = &stops[0].Stop
	}
	if s.FeedFaults, err = lastDoubts(q); err != nil {
		return s, err
	}
	if err := readUsage(q, p, now, &s); err != nil {
		return s, err
	}
	recentFrom := now.Add(-reminder.RecentFor)
	if recentFrom, err = readOverrides(q, now, recentFrom, &s); err != nil {
		return s, err
	}
	if p.Guards.MaxFailureRate > 0 {
		err = readRecent(q, recentFrom, &s)
	}
	return s, err
}

func readUsage(q db.Reader, p *reminder.Policy, now time.Time, s *reminder.GuardState) error {
	today := reminder.DateOf(now.In(p.Zone))
	midnight := today.At(0, p.Zone)
	month := today.AddDays(1-today.Day()).At(0, p.Zone)
	history := today.AddDays(-reminder.MedianDays).At(0, p.Zone)
	from := month
	if history.Before(from) {
		from = history
	}
	rows := q.Query("SELECT since, texts, segments FROM usage WHERE since >= ?1", from.UnixMilli())
	type day struct {
		since           time.Time
		texts, segments int
	}
	days, err := db.Collect(rows, func(r db.Scanner) (d day, err error) {
		err = r.Scan(db.InstantTo(&d.since), &d.texts, &d.segments)
		return d, err
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

// readOverrides returns from when on texts count as recent: those that the
// operator has let pass do not.
func readOverrides(q db.Reader, now, recentFrom time.Time, s *reminder.GuardState) (time.Time, error) {
	rows := q.Query("SELECT guard, since FROM overrides WHERE until_at > ?1", now.UnixMilli())
	_, err := db.Collect(rows, func(r db.Scanner) (struct{}, error) {
		var guard reminder.Reason
		var since time.Time
		err := r.Scan(&guard, db.InstantTo(&since))
		switch {
		case guard == reminder.FailureRate && since.After(recentFrom):
			recentFrom = since
		case guard != reminder.FailureRate:
			if s.Overridden == nil {
				s.Overridden = make(map[reminder.Reason]bool)
			}
			s.Overridden[guard] = true
		}
		return struct{}{}, err
	})
	return recentFrom, err
}

// recentScanned is among how many of the latest texts the last reminder.RecentTexts are
// sought that say something of the provider: more than are in flight at a time, with
// some hundreds that were given back unsent.
const recentScanned = 2000

// readRecent counts how the last texts fared: refused for what they are, or lost after
// they were accepted. What is in flight, in doubt or not found, or was given back for
// another reason, such as a change before the call or a provider that asked to slow down,
// says something of connections and nothing of texts. It takes no place among them: an
// afternoon of such texts would hide the failures before it.
func readRecent(q db.Reader, from time.Time, s *reminder.GuardState) error {
	rows := q.Query(`SELECT state, refused_for, created_at FROM texts
		WHERE id > (SELECT max(id) FROM texts) - ?1 AND state NOT IN ('sending', 'unknown', 'not_found')
			AND NOT (state = 'refused' AND refused_for NOT IN (?2, ?3, ?4, ?5))
		ORDER BY id DESC LIMIT ?6 + 0`,
		recentScanned, reminder.BadNumber, reminder.TextRefused, reminder.RefusalUnclear, reminder.TryApart, reminder.RecentTexts)
	_, err := db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var state TextState
		var why reminder.Reason
		var created time.Time
		if err := r.Scan(&state, &why, db.InstantTo(&created)); err != nil || !created.After(from) {
			return none, err
		}
		s.Recent++
		switch state {
		case Refused:
			s.Failed++
		case Undelivered, Failed:
			s.Failed++
			if why == reminder.TextRefused || why == reminder.TryApart {
				s.Filtered++
			}
		case Sending, Unknown, NotFound, Accepted, Sent, Delivered, Canceled, Unconfirmed:
		}
		return none, nil
	})
	return err
}

// addUsage counts texts for the day on which they are handed over.
func (d *decider) addUsage(texts []Text) error {
	n, segments := 0, 0
	for _, text := range texts {
		if text.ID != 0 {
			n, segments = n+1, segments+text.Segments
		}
	}
	if n == 0 {
		return nil
	}
	_, err := d.Exec(`INSERT INTO usage (since, texts, segments) VALUES (?1, ?2, ?3)
		ON CONFLICT (since) DO UPDATE SET texts = usage.texts + excluded.texts, segments = usage.segments + excluded.segments`,
		d.midnight().UnixMilli(), n, segments)
	return err
}

// giveBackUsage takes back what takeBackUsage did: the provider has the text after all.
func (t *tx) giveBackUsage(textID int64) error {
	_, err := t.Exec(`UPDATE usage SET texts = texts + 1, segments = segments + (SELECT segments FROM texts WHERE id = ?1)
		WHERE since = (SELECT max(since) FROM usage WHERE since <= (SELECT created_at FROM texts WHERE id = ?1))`, textID)
	return err
}

// takeBackUsage takes a text out of its day's count: the provider does not have it.
func (t *tx) takeBackUsage(textID int64) error {
	_, err := t.Exec(`UPDATE usage SET texts = texts - 1, segments = segments - (SELECT segments FROM texts WHERE id = ?1)
		WHERE texts > 0 AND since = (SELECT max(since) FROM usage WHERE since <= (SELECT created_at FROM texts WHERE id = ?1))`, textID)
	return err
}
