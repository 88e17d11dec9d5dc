package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Place is how far a pass has come in a queue, and which way it goes; the zero
// Place is its beginning.
type Place struct {
	at, billID int64
	back       bool
	share      float64 // not found yet: as PlaceAt says
	until      *Place  // the bill there, and what follows, is another's
}

// PlaceAfter is behind the bills of a queue that were due at an instant.
func PlaceAfter(at time.Time) Place { return Place{at: at.UnixMilli(), billID: math.MaxInt64} }

// Backwards is the same place, from which a pass goes back to those that have
// waited longer.
func (p Place) Backwards() Place {
	p.back = true
	return p
}

// PlaceAt is somewhere in a queue, other for each share above 0 and below 1:
// whichever bills come in a row, some of these places are beside them.
func PlaceAt(share float64) Place { return Place{share: share} }

// IsZero reports whether the place is the beginning of a queue; what PlaceAt finds
// is, where nothing is due.
func (p Place) IsZero() bool { return p == Place{} }

// Until is the place with an end: the pass stops where another one, that stands
// at q or came to it, has been or will be.
func (p Place) Until(q Place) Place {
	q.until = nil
	p.until = &q
	return p
}

// ends reports whether a bill's place is at the end of the pass or beyond it.
func (p Place) ends(at, billID int64) bool {
	if p.until == nil {
		return false
	}
	u := *p.until
	if p.back {
		return at < u.at || at == u.at && billID <= u.billID
	}
	// What stands at u was taken by a pass that goes back, or is left to the one
	// that begins behind it.
	return at > u.at || at == u.at && (billID > u.billID || u.back && billID == u.billID)
}

// onwards and backwards read by two ranges of the index, since SQLite would go
// through all that are due at the instant of the place for (at, bill_id) > (?1, ?2).
const (
	turnsOf = "SELECT id, service, account, phone, description, at FROM (\n\t\t\t"
	onwards = turnsOf + `SELECT at, bill_id FROM QUEUE WHERE at = ?1 + 0 AND bill_id > ?2 UNION ALL
			SELECT at, bill_id FROM QUEUE WHERE at > ?1 AND at <= ?3 ORDER BY at, bill_id LIMIT ?4 + 0) AS queued
		CROSS JOIN bills WHERE id = bill_id ORDER BY at, bill_id`
	backwards = turnsOf + `SELECT at, bill_id FROM QUEUE WHERE at = ?1 + 0 AND bill_id < ?2 UNION ALL
			SELECT at, bill_id FROM QUEUE WHERE at < ?1 AND at <= ?3 ORDER BY at DESC, bill_id DESC LIMIT ?4 + 0) AS queued
		CROSS JOIN bills WHERE id = bill_id ORDER BY at DESC, bill_id DESC`
)

func (s *Store) turns(ctx context.Context, q queue, now time.Time, after Place, n int) (bills []reminder.Bill, last Place, err error) {
	if after.share > 0 {
		after, err = s.findPlace(ctx, q, now, after.share)
	}
	last = after
	if err != nil || n == 0 {
		return nil, last, err
	}
	query := onwards
	if after.back {
		query = backwards
	}
	rows, err := s.read(ctx).Query(strings.ReplaceAll(query, "QUEUE", string(q)), after.at, after.billID, now.UnixMilli(), n)
	if err == nil {
		ended := false
		_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
			var b reminder.Bill
			var at int64
			err = r.Scan(&b.ID, &b.Service, &b.Account, &b.Phone, &b.Description, &at)
			if ended = ended || after.ends(at, b.ID); !ended {
				bills = append(bills, b)
				last.at, last.billID = at, b.ID
			}
			return none, err
		})
	}
	if err != nil {
		return nil, after, fmt.Errorf("read %s: %w", q, err)
	}
	return bills, last, nil
}

// findPlace finds the place in front of a bill that is due. The lower half of
// the shares are of the bills that have waited longest: an import gives all of
// them one instant, and they lie by their ids. The upper half are of the time
// that the longest and the shortest wait are apart.
func (s *Store) findPlace(ctx context.Context, q queue, now time.Time, share float64) (p Place, err error) {
	var first, last, firstID, lastID int64
	row := func(query string, args ...any) db.Row {
		return s.read(ctx).Row(strings.ReplaceAll(query, "QUEUE", string(q)), args...)
	}
	err = row("SELECT at, bill_id FROM QUEUE WHERE at <= ?1 ORDER BY at, bill_id LIMIT 1", now.UnixMilli()).Scan(&first, &firstID)
	if err == nil {
		err = row(`SELECT coalesce((SELECT max(bill_id) FROM QUEUE WHERE at = ?1), ?3), coalesce((SELECT max(at) FROM QUEUE WHERE at <= ?2), ?1)`,
			first, now.UnixMilli(), firstID).
			Scan(&lastID, &last)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, nil
	case err != nil:
		return p, fmt.Errorf("look into %s: %w", q, err)
	case share < 0.5 || first == last:
		if first != last {
			share *= 2
		}
		return Place{at: first, billID: firstID - 1 + int64(share*float64(lastID-firstID+1))}, nil
	}
	return Place{at: first + int64((2*share-1)*float64(last-first+1)), billID: -1}, nil
}
