package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Period is what a report is about.
type Period struct {
	Since, Until time.Time
	// HeldMost is for how long a reminder may have been held before it was
	// decided for good.
	HeldMost time.Duration
	// PaidWithin is how soon after its text a payment counts.
	PaidWithin time.Duration
	By         Grouping
	Progress   func(rows int) // called now and then with the rows read so far; nil = nobody asks
}

// Grouping is what the lines of a report stand for.
type Grouping string

// The groupings.
const (
	ByNothing Grouping = ""
	ByService Grouping = "service"
	ByDay     Grouping = "day"
	ByStage   Grouping = "stage"
)

// Group is the line of a report that a count belongs to. What the grouping does
// not ask for is zero, and so is what is not known of a text that has no
// reminder any more, which Linked says.
type Group struct {
	Service string
	Stage   reminder.Stage
	At      time.Time // within a quarter of an hour
	Linked  bool
}

// TextCount is how many texts have all this in common.
type TextCount struct {
	Group
	State      TextState
	Code       int
	RefusedFor reminder.Reason
	Price      string // of each, "" = not said
	PriceUnit  string
	Texts      int
	Segments   int // counted by us
	Billed     int // counted by the provider
	BilledOf   int // our count of those texts of which it has said so
}

// ReminderCount is how many reminders have all this in common.
type ReminderCount struct {
	Group
	Outcome   reminder.Outcome
	Reason    reminder.Reason // "" of those that were texted
	Reminders int
	// Of those that were texted: how many of their texts have not
	// failed; and of these, for how many it is too early to say, and how many
	// of the others were paid in time.
	NotFailed, TooEarly, Paid int
}

// reportPage is over how many ids one statement of a report goes, so that no
// reader holds up the write-ahead log for long.
const reportPage = 20_000

// quarter is how fine the instants of a Group are: days begin at one of them in
// every zone.
const quarter = 15 * time.Minute

// What a statement of a report costs is the sorting of the rows by all that it
// groups by: there is nothing in it that nobody asks for.

// column is what a grouping asks of a row that was written at an instant, and
// how that goes on as the nth column of a GROUP BY.
func (by Grouping) column(at string, nth int) (column, groupBy string) {
	switch by {
	case ByService:
		column = "b.service"
	case ByDay:
		column = at + " / " + strconv.FormatInt(quarter.Milliseconds(), 10)
	case ByStage:
		column = "r.stage"
	case ByNothing:
		return "NULL", ""
	}
	return column, ", " + strconv.Itoa(nth)
}

// scan reads that column.
func (by Grouping) scan(g *Group) any { return groupColumn{by, g} }

type groupColumn struct {
	by Grouping
	g  *Group
}

func (c groupColumn) Scan(v any) error {
	*c.g = Group{Linked: v != nil || c.by == ByNothing}
	switch v := v.(type) {
	case nil:
		return nil
	case int64:
		switch c.by {
		case ByDay:
			c.g.At = time.UnixMilli(v * quarter.Milliseconds())
			return nil
		case ByStage:
			c.g.Stage = reminder.Stage(v)
			return nil
		case ByService, ByNothing:
		}
	case string:
		if c.by == ByService {
			c.g.Service = v
			return nil
		}
	}
	return fmt.Errorf("a %T is no %s", v, c.by)
}

// ReportTexts calls each with the texts of the period, counted by what they
// have in common, in several parts. Texts are written in the order of time, so
// only those of the period are read.
func (s *Store) ReportTexts(ctx context.Context, p Period, each func(TextCount) error) error {
	from := "texts x"
	if p.By == ByService || p.By == ByStage { // a text that carries several reminders counts once, for the first
		from += " LEFT JOIN reminders r ON r.id = (SELECT min(id) FROM reminders WHERE text_id = x.id)"
	}
	if p.By == ByService {
		from += " LEFT JOIN bills b ON b.id = r.bill_id"
	}
	group, groupBy := p.By.column("x.created_at", 6)
	query := "SELECT x.state, x.error_code, x.refused_for, coalesce(x.price, ''), coalesce(x.price_unit, ''), " + group + `,
			count(*), sum(x.segments), coalesce(sum(x.billed_segments), 0),
			coalesce(sum(CASE WHEN x.billed_segments IS NULL THEN 0 ELSE x.segments END), 0)
		FROM ` + from + ` WHERE x.id >= ?1 AND x.id < ?2 AND x.created_at >= ?3 AND x.created_at < ?4 GROUP BY 1, 2, 3, 4, 5` + groupBy
	return s.pages(ctx, "texts", "created_at", p, p.Since, func(low, high int64) error {
		rows := s.read(ctx).Query(query, low, high, p.Since.UnixMilli(), p.Until.UnixMilli())
		return db.Each(rows, func(r db.Scanner) (c TextCount, err error) {
			err = r.Scan(&c.State, &c.Code, &c.RefusedFor, &c.Price, &c.PriceUnit, p.By.scan(&c.Group),
				&c.Texts, &c.Segments, &c.Billed, &c.BilledOf)
			return c, err
		}, each)
	})
}

// ReportReminders calls each with the reminders that were decided in the
// period, counted by what they have in common, in several parts. What is held
// is left out: see HeldNow.
func (s *Store) ReportReminders(ctx context.Context, p Period, now time.Time, each func(ReminderCount) error) error {
	bills := ""
	if p.By == ByService {
		bills = " LEFT JOIN bills b ON b.id = r.bill_id"
	}
	const decided = " WHERE r.id >= ?1 AND r.id < ?2 AND r.decided_at >= ?3 AND r.decided_at < ?4 AND r.outcome = "
	group, groupBy := p.By.column("r.decided_at", 3)
	skipped := "SELECT r.outcome, r.reason, " + group +
		", count(*), 0, 0, 0 FROM reminders r" + bills + decided + "'skipped' GROUP BY 1, 2" + groupBy
	// Nobody asks for which reason a text was sent.
	if groupBy != "" {
		groupBy = " GROUP BY 3"
	}
	// The number of texts that have not failed and that meet one more condition.
	count := func(condition string) string {
		return "coalesce(sum(CASE WHEN x.state NOT IN " + failedStates + condition + " THEN 1 ELSE 0 END), 0)"
	}
	texted := "SELECT 'texted', '', " + group + ", count(*), " + count("") + ", " + count(" AND r.decided_at > ?5") + ", " +
		count(" AND r.decided_at <= ?5 AND r.paid_at - r.decided_at <= ?6 AND "+paymentBelieved) + `
		FROM reminders r LEFT JOIN texts x ON x.id = r.text_id` + bills + decided + "'texted'" + groupBy + " HAVING count(*) > 0"
	scan := func(r db.Scanner) (ReminderCount, error) { return scanReminderCount(r, p.By) }
	return s.pages(ctx, "reminders", "decided_at", p, p.Since.Add(-p.HeldMost), func(low, high int64) error {
		rows := s.read(ctx).Query(skipped, low, high, p.Since.UnixMilli(), p.Until.UnixMilli())
		if err := db.Each(rows, scan, each); err != nil {
			return err
		}
		rows = s.read(ctx).Query(texted, low, high, p.Since.UnixMilli(), p.Until.UnixMilli(),
			now.Add(-p.PaidWithin).UnixMilli(), p.PaidWithin.Milliseconds())
		return db.Each(rows, scan, each)
	})
}

// HeldNow counts the reminders of present due dates that are held. It reads
// what is held, and nothing else.
func (s *Store) HeldNow(ctx context.Context, by Grouping) ([]ReminderCount, error) {
	group, groupBy := by.column("r.decided_at", 3)
	rows := s.read(ctx).Query("SELECT r.outcome, r.reason, " + group + `, count(*), 0, 0, 0 FROM reminders r CROSS JOIN bills b
		WHERE b.id = r.bill_id AND r.outcome = 'held' AND r.due_date = b.due_date AND b.state IN ('active', 'paused') GROUP BY 1, 2` + groupBy)
	all, err := db.Collect(rows, func(r db.Scanner) (ReminderCount, error) { return scanReminderCount(r, by) })
	if err != nil {
		return nil, fmt.Errorf("count what is held: %w", err)
	}
	return all, nil
}

func scanReminderCount(r db.Scanner, by Grouping) (c ReminderCount, err error) {
	err = r.Scan(&c.Outcome, &c.Reason, by.scan(&c.Group), &c.Reminders, &c.NotFailed, &c.TooEarly, &c.Paid)
	return c, err
}

// pages calls do for ranges of ids, from the first row of a table that may be
// as young as since.
func (s *Store) pages(ctx context.Context, table, column string, p Period, since time.Time, do func(low, high int64) error) error {
	var least, most int64
	ends := "SELECT (SELECT coalesce(min(id), 0) FROM " + table + "), (SELECT coalesce(max(id), 0) FROM " + table + ")"
	if err := s.read(ctx).Row(ends).Scan(&least, &most); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	low, err := s.firstID(ctx, table, column, least, most, since)
	for first := low; err == nil && low <= most; low += reportPage {
		if err = do(low, low+reportPage); err == nil && p.Progress != nil {
			p.Progress(int(min(low+reportPage, most+1) - first))
		}
		if err == nil {
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// firstID finds an id before which every row of the table was written before
// since, by halving. A row may say a later instant than that of its writing,
// since it was changed: then the search ends at an earlier id than need be.
func (s *Store) firstID(ctx context.Context, table, column string, low, high int64, since time.Time) (int64, error) {
	for low < high {
		middle := low + (high-low)/2
		var id int64
		var at time.Time
		err := s.read(ctx).Row("SELECT id, "+column+" FROM "+table+" WHERE id >= ?1 ORDER BY id LIMIT 1", middle).Scan(&id, db.InstantTo(&at))
		if err != nil {
			return 0, err
		}
		if at.Before(since) {
			low = id + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
