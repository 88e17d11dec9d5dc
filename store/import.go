package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
)

// reportEach is how many bills an import goes through before it reports progress.
const reportEach = 2000

// Import adds and changes bills in one transaction, as Declare does, and
// removes none. Each bill may be there only once. The changes are in the order
// of the bills; one that another source declares is left alone. progress is
// called now and then with how many it has been through; nil = it is not shown.
//
// Beside a running daemon it then waits for as long as it held the file, so
// that the daemon's writes get their turn in an import of many batches.
func (s *Store) Import(
	ctx context.Context, source string, bills []reminder.Bill, now time.Time, progress func(bills int),
) (changes []Change, err error) {
	began := time.Now()
	err = s.do(func(t *tx) error {
		changes = make([]Change, 0, len(bills))
		for batch := range slices.Chunk(sourced(source, bills), reportEach) {
			did, err := t.declareAll(batch, now, nil)
			if err != nil {
				return err
			}
			changes = append(changes, did...)
			if progress != nil {
				progress(len(changes))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import bills: %w", err)
	}
	s.db.GiveWay(ctx, time.Since(began))
	return changes, nil
}

// CompareBills says what Import would change, and changes nothing.
func (s *Store) CompareBills(ctx context.Context, source string, bills []reminder.Bill) ([]Change, error) {
	bills = sourced(source, bills)
	var found map[identity]declaredBill
	err := s.view(ctx, func(t *tx) (err error) {
		found, err = t.find(bills)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare bills: %w", err)
	}
	changes := make([]Change, len(bills))
	for i, b := range bills {
		changes[i].Kind = Added
		if old, ok := found[identity{b.Service, b.Account}]; ok {
			changes[i] = old.change(b)
		}
	}
	return changes, nil
}

// RemoveUnlisted removes the bills of a source that are not listed, their history kept:
// those of one page of ids above after. A nil list has none. It returns the
// last id it saw, zero at the end.
func (s *Store) RemoveUnlisted(
	ctx context.Context, source string, listed *ImportIndex, after int64, now time.Time,
) (last int64, removed int, err error) {
	bills, last, err := s.declaredPage(ctx, source, after)
	if err != nil {
		return 0, 0, fmt.Errorf("remove bills that are no longer listed: %w", err)
	}
	missing, err := listed.missing(bills)
	if err != nil {
		return 0, 0, err
	}
	if len(missing) > 0 {
		err = s.do(func(t *tx) error {
			removed = 0
			for _, b := range missing {
				done, err := t.remove(source, b.ID, now)
				if err != nil {
					return err
				}
				if done {
					removed++
				}
			}
			return nil
		})
		if err != nil {
			return 0, 0, fmt.Errorf("remove bills that are no longer listed: %w", err)
		}
	}
	return last, removed, nil
}

// BesideDaemon reports, to a command, whether a daemon works on the same store just now.
func (s *Store) BesideDaemon(ctx context.Context) bool { return s.db.BesideDaemon(ctx) }
