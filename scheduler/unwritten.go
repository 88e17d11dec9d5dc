package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"duewatch/store"
)

// unwritten are the outcomes of texts that this process knows and could not write,
// such as on a full disk. They are kept in memory and written as soon as the store
// takes them: what is known must not end as a text in doubt. Nothing new is decided
// meanwhile, so they are never more than the texts of one pass.
type unwritten struct {
	lock    storeLock
	pending []store.SendOutcome
	lost    map[int64]bool // texts whose outcome cannot be written at all: they end in doubt, with their lease
}

// record writes outcomes, and keeps those that may be written later.
func (u *unwritten) record(db *store.Store, now time.Time, outcomes []store.SendOutcome) error {
	u.lock.take()
	defer u.lock.release()
	return u.writeLocked(db, now, outcomes)
}

// writeLocked is record for who holds the lock.
func (u *unwritten) writeLocked(db *store.Store, now time.Time, outcomes []store.SendOutcome) error {
	errs := db.RecordOutcomes(now, outcomes)
	for i, o := range outcomes {
		switch err := errs[i]; {
		case store.WritableLater(err):
			u.pending = append(u.pending, o)
		case err != nil:
			if u.lost == nil {
				u.lost = make(map[int64]bool)
			}
			u.lost[o.TextID] = true
		}
	}
	return errors.Join(errs...)
}

// retry writes what could not be written before. The error says that some of it
// still cannot be.
func (u *unwritten) retry(db *store.Store, now time.Time) error {
	u.lock.take()
	defer u.lock.release()
	return u.retryLocked(db, now)
}

// retryLocked is retry for who holds the lock.
func (u *unwritten) retryLocked(db *store.Store, now time.Time) error {
	outcomes := u.pending
	u.pending = nil
	if len(outcomes) == 0 {
		return nil
	}
	err := u.writeLocked(db, now, outcomes)
	if len(u.pending) == 0 {
		return nil // what failed now is settled already, or cannot be written at all
	}
	return fmt.Errorf("what became of %d texts is known, and cannot be written: %w", len(u.pending), err)
}

// settleOwner is retry, and gives back the texts of an owner of which nothing is known. It
// holds the lock over both: several jobs write what is known, and a text whose
// outcome one of them has in its hands must not be taken for one that was never
// handed over.
func (u *unwritten) settleOwner(ctx context.Context, db *store.Store, now time.Time, owner string) (givenBack int, err error) {
	u.lock.take()
	defer u.lock.release()
	if err := u.retryLocked(db, now); err != nil {
		return 0, err
	}
	return db.GiveBack(ctx, now, owner, u.lost)
}

// settleOwnTexts writes what this process knows of its texts and could not write, and
// gives back those that it never handed over. Call it where no text is being sent.
func (s *Scheduler) settleOwnTexts(ctx context.Context) error {
	n, err := s.unwritten.settleOwner(ctx, s.Store, s.Now(), s.Owner)
	if n > 0 {
		s.Log.Warn("texts were decided on and never handed over, since the store failed: they are decided anew", "texts", n)
	}
	return err
}

// How often, and how far apart, a process that ends tries to write what it knows.
const (
	lastTries = 5
	lastPause = 500 * time.Millisecond
)

// writeBeforeExit writes what is known before the process ends: the next one could only
// look it up at the provider.
func (s *Scheduler) writeBeforeExit() (err error) {
	for i := range lastTries {
		if err = s.unwritten.retry(s.Store, s.Now()); err == nil {
			return nil
		}
		if i+1 < lastTries {
			pause := time.NewTimer(lastPause)
			<-pause.C
		}
	}
	return err
}
