package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"duewatch/reminder"
)

// Period is what a report looks at.
type Period struct {
	Since, Until time.Time
	// HeldMost is for how long a reminder may have been held before it was
	// decided for good.
	HeldMost time.Duration
	// PaidWithin is how soon after its text a payment counts.
	PaidWithin time.Duration
	By         Grouping
	Tell       func(rows int) // called now and then with the rows read so far; nil = nobody asks
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
	Reason    reminder.Reason
	Came      bool // texted, and the text did not come to nothing
	TooEarly  bool // of those that came: the time to pay is not over yet
	Paid      bool // of those that came: paid within that time
	Reminders int
}

// reportPage is over how many ids one statement of a report goes, so that no
// reader holds up the write-ahead log for long.
const reportPage = 20_000

// quarter is how fine the instants of a Group are: days begin at one of them in
// every zone.
const quarter = 15 * time.Minute

// ReportTexts calls each with the texts of the period, counted by what they
// have in common, in several parts. Texts are written in the order of time, so
// only those of the period are read.
func (s *Store) ReportTexts(ctx context.Context, p Period, each func(TextCount) error) error {
	// A text that carries several reminders counts once, for the first.
	group, from := "'', 0, 0, 1", "FROM texts x"
	switch p.By {
	case ByNothing:
	case ByDay:
		group = "'', 0, x.created_at / " + quarterMillis + ", 1"
	case ByService:
		group = "coalesce(b.service, ''), 0, 0, b.id IS NOT NULL"
		from += " LEFT JOIN reminders r ON r.id = (SELECT min(id) FROM reminders WHERE text_id = x.id) LEFT JOIN bills b ON b.id = r.bill_id"
	case ByStage:
		group = "'', coalesce(r.stage, 0), 0, r.id IS NOT NULL"
		from += " LEFT JOIN reminders r ON r.id = (SELECT min(id) FROM reminders WHERE text_id = x.id)"
	}
	query := "SELECT " + group + `, x.state, x.error_code, x.refused_for, coalesce(x.price, ''), coalesce(x.price_unit, ''),
			count(*), sum(x.segments), coalesce(sum(x.billed_segments), 0), coalesce(sum(CASE WHEN x.billed_segments IS NULL THEN 0 ELSE x.segments END), 0)
		` + from + ` WHERE x.id >= ?1 AND x.id < ?2 AND x.created_at >= ?3 AND x.created_at < ?4 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9`
	return s.pages(ctx, "texts", "created_at", p, p.Since, func(low, high int64) error {
		rows, err := s.read.QueryContext(ctx, query, low, high, p.Since.UnixMilli(), p.Until.UnixMilli())
		if err != nil {
			return explain(err)
		}
		counts, err := collect(rows, func(r row) (c TextCount, err error) {
			var quarters int64
			err = r.Scan(&c.Service, &c.Stage, &quarters, &c.Linked, &c.State, &c.Code, &c.RefusedFor, &c.Price, &c.PriceUnit,
				&c.Texts, &c.Segments, &c.Billed, &c.BilledOf)
			c.At = time.UnixMilli(quarters * quarter.Milliseconds())
			return c, err //nolint:wrapcheck // names the column
		})
		return eachOf(counts, err, each)
	})
}

var quarterMillis = strconv.FormatInt(quarter.Milliseconds(), 10)

// ReportReminders calls each with the reminders that were decided in the
// period, counted by what they have in common, in several parts. What is held
// is left out: see HeldNow.
func (s *Store) ReportReminders(ctx context.Context, p Period, now time.Time, each func(ReminderCount) error) error {
	from := "FROM reminders r LEFT JOIN texts x ON x.id = r.text_id"
	if p.By == ByService {
		from += " LEFT JOIN bills b ON b.id = r.bill_id"
	}
	//nolint:gosec // put together from constants; the values are arguments
	query := "SELECT " + reminderGroup(p.By) + `, r.outcome, r.reason,
			CASE WHEN x.state NOT IN ('refused', 'not_found', 'failed', 'undelivered', 'canceled') THEN 1 ELSE 0 END,
			CASE WHEN r.decided_at > ?5 THEN 1 ELSE 0 END, CASE WHEN r.paid_at - r.decided_at <= ?6 THEN 1 ELSE 0 END, count(*)
		` + from + `
		WHERE r.id >= ?1 AND r.id < ?2 AND r.decided_at >= ?3 AND r.decided_at < ?4 AND r.outcome <> 'held' GROUP BY 1, 2, 3, 5, 6, 7, 8, 9`
	return s.pages(ctx, "reminders", "decided_at", p, p.Since.Add(-p.HeldMost), func(low, high int64) error {
		rows, err := s.read.QueryContext(ctx, query, low, high, p.Since.UnixMilli(), p.Until.UnixMilli(),
			now.Add(-p.PaidWithin).UnixMilli(), p.PaidWithin.Milliseconds())
		if err != nil {
			return explain(err)
		}
		counts, err := collect(rows, scanReminderCount)
		return eachOf(counts, err, each)
	})
}

// HeldNow counts the reminders of present due dates that are held. It reads
// what is held, and nothing else.
func (s *Store) HeldNow(ctx context.Context, by Grouping) ([]ReminderCount, error) {
	//nolint:gosec // put together from constants
	query := "SELECT " + reminderGroup(by) + `, r.outcome, r.reason, 0, 0, 0, count(*) FROM reminders r CROSS JOIN bills b
		WHERE b.id = r.bill_id AND r.outcome = 'held' AND r.due_date = b.due_date AND b.state IN ('active', 'paused') GROUP BY 1, 2, 3, 5, 6`
	rows, err := s.read.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("count what is held: %w", explain(err))
	}
	return collect(rows, scanReminderCount)
}

// reminderGroup are the columns of a Group. That of the service needs the bill.
func reminderGroup(by Grouping) string {
	switch by {
	case ByService:
		return "coalesce(b.service, ''), 0, 0, 1"
	case ByDay:
		return "'', 0, r.decided_at / " + quarterMillis + ", 1"
	case ByStage:
		return "'', r.stage, 0, 1"
	case ByNothing:
	}
	return "'', 0, 0, 1"
}

func scanReminderCount(r row) (c ReminderCount, err error) {
	var quarters int64
	err = r.Scan(&c.Service, &c.Stage, &quarters, &c.Linked, &c.Outcome, &c.Reason, &c.Came, &c.TooEarly, &c.Paid, &c.Reminders)
	c.At = time.UnixMilli(quarters * quarter.Milliseconds())
	return c, err //nolint:wrapcheck // names the column
}

func eachOf[T any](all []T, err error, each func(T) error) error {
	if err != nil {
		return err
	}
	for _, v := range all {
		if err := each(v); err != nil {
			return err
		}
	}
	return nil
}

// pages calls do for ranges of ids, from the first row of a table that may be
// as young as since.
func (s *Store) pages(ctx context.Context, table, column string, p Period, since time.Time, do func(low, high int64) error) error {
	var least, most int64
	if err := s.read.QueryRowContext(ctx, "SELECT (SELECT coalesce(min(id), 0) FROM "+table+"), (SELECT coalesce(max(id), 0) FROM "+table+")").Scan(&least, &most); err != nil {
		return fmt.Errorf("report: %w", explain(err))
	}
	low, err := s.firstID(ctx, table, column, least, most, since)
	for first := low; err == nil && low <= most; low += reportPage {
		if err = do(low, low+reportPage); err == nil && p.Tell != nil {
			p.Tell(int(min(low+reportPage, most+1) - first))
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
		err := s.read.QueryRowContext(ctx, "SELECT id, "+column+" FROM "+table+" WHERE id >= ?1 ORDER BY id LIMIT 1", middle).Scan(&id, instantColumn{&at})
		if err != nil {
			return 0, explain(err)
		}
		if at.Before(since) {
			low = id + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
