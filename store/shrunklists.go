package store

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// ShrunkList is a declared list that lost many of its bills at once: they stay
// until the operator agrees to this very list.
type ShrunkList struct {
	Source      string
	Fingerprint string // tells the list from every other
	Missing     int    // bills that it no longer names
	Total       int    // that there were
	Agreed      bool
}

// ShrunkLists reads the lists whose bills stay, and those that the operator has
// agreed to and that are not carried out yet.
func (s *Store) ShrunkLists(ctx context.Context) ([]ShrunkList, error) {
	rows := s.read(ctx).Query("SELECT source, fingerprint, missing, total, agreed_at IS NOT NULL FROM shrunk_lists ORDER BY source")
	all, err := db.Collect(rows, func(r db.Scanner) (l ShrunkList, err error) {
		err = r.Scan(&l.Source, &l.Fingerprint, &l.Missing, &l.Total, &l.Agreed)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read lists that shrank: %w", err)
	}
	return all, nil
}

// HoldLists keeps which lists have shrunk, and warns of them in those words or, when
// there are none, ends that warning. agreed are the lists that are about to be
// carried out; whatever else was kept before is forgotten, and with it what the operator has
// agreed to about other lists.
func (s *Store) HoldLists(now time.Time, held, agreed []ShrunkList, detail string) error {
	err := s.do(func(t *tx) error {
		keep := map[string]bool{}
		for _, l := range held {
			keep[l.Source] = true
			// An agreement of a moment ago stands, if it is about this list.
			if _, err := t.Exec(`INSERT INTO shrunk_lists (source, fingerprint, missing, total) VALUES (?1, ?2, ?3, ?4)
				ON CONFLICT (source) DO UPDATE SET fingerprint = excluded.fingerprint, missing = excluded.missing, total = excluded.total,
					agreed_at = CASE WHEN shrunk_lists.fingerprint = excluded.fingerprint AND shrunk_lists.missing >= excluded.missing
						THEN shrunk_lists.agreed_at END`,
				l.Source, l.Fingerprint, l.Missing, l.Total); err != nil {
				return err
			}
		}
		for _, l := range agreed {
			keep[l.Source] = true
		}
		for _, source := range []string{SourceConfig, SourceFile} {
			if keep[source] {
				continue
			}
			if err := t.forgetList(source); err != nil {
				return err
			}
		}
		if len(held) == 0 {
			return t.endWarning(reminder.ListShrank)
		}
		return t.warn(now, reminder.ListShrank, detail)
	})
	if err != nil {
		return fmt.Errorf("hold lists that shrank: %w", err)
	}
	return nil
}

// ForgetList forgets a list that was carried out.
func (s *Store) ForgetList(source string) error {
	if err := s.do(func(t *tx) error { return t.forgetList(source) }); err != nil {
		return fmt.Errorf("forget a list that shrank: %w", err)
	}
	return nil
}

func (t *tx) forgetList(source string) error {
	_, err := t.Exec("DELETE FROM shrunk_lists WHERE source = ?1", source)
	return err
}

// agreeToLists notes that the operator agrees to the lists as they are held now.
func (t *tx) agreeToLists(now time.Time) error {
	_, err := t.Exec("UPDATE shrunk_lists SET agreed_at = ?1 WHERE agreed_at IS NULL", now.UnixMilli())
	return err
}

// Unlisted counts, in one page of ids above after, the bills of a source, and
// those that neither its own list nor another one names: what moves from one
// list to the other is not lost. It returns the last id it saw, zero at the end.
// It only reads, and keeps no more than the page in memory.
func (s *Store) Unlisted(
	ctx context.Context, source string, listed *ImportIndex, named func(service, account string) bool, after int64,
) (last int64, total, missing int, err error) {
	bills, last, err := s.declaredPage(ctx, source, after)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("count bills that are no longer named: %w", err)
	}
	total = len(bills)
	rest := bills[:0]
	for _, b := range bills {
		if !named(b.Service, b.Account) {
			rest = append(rest, b)
		}
	}
	lost, err := listed.missing(rest)
	return last, total, len(lost), err
}

// declaredPage reads a page of the bills of a source above an id, and the last of their ids,
// zero when there are no more.
func (s *Store) declaredPage(ctx context.Context, source string, after int64) (bills []reminder.Bill, last int64, err error) {
	const page = 1000
	rows := s.read(ctx).Query(`SELECT id, service, account FROM bills
		WHERE id > ?1 AND source = ?2 AND `+declared+` AND state <> 'removed' ORDER BY id LIMIT ?3 + 0`, after, source, page)
	bills, err = db.Collect(rows, func(r db.Scanner) (b reminder.Bill, err error) {
		err = r.Scan(&b.ID, &b.Service, &b.Account)
		return b, err
	})
	if err == nil && len(bills) == page {
		last = bills[page-1].ID
	}
	return bills, last, err
}
