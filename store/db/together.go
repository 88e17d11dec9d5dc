package db

import (
	"errors"
	"slices"
)

// Together does something for many items in one transaction, and confines a failure
// to the item it is of. Failures are rare and savepoints dear (SQLite copies each page that
// is written under one), so all are done at once first. When that fails, the writer undoes
// the whole transaction and runs it again (writer.commit), and there each item is done
// alone, under a savepoint of its own; failed is called for each that could not be, after
// it was undone.
//
// do is called with all items, or with one. A failure that any other write would have
// met as well, such as a full disk, is nobody's in particular: it is returned, and
// fails the transaction.
func Together[T any](t *Tx, items []T, do func(some []T) error, failed func(item T, err error) error) error {
	size := 1
	if t.batched {
		size = max(len(items), 1)
	}
	for some := range slices.Chunk(items, size) {
		itemErr, txErr := t.confined(func() error { return do(some) })
		switch {
		case txErr != nil:
			return txErr
		case ofTheMachine(itemErr):
			return itemErr
		case itemErr != nil:
			if err := failed(some[0], itemErr); err != nil {
				return err
			}
		}
	}
	return nil
}

// batchedError is a failure that a second try, with savepoints, confines to the
// item it is of.
type batchedError struct{ err error }

func (e *batchedError) Error() string { return e.err.Error() }
func (e *batchedError) Unwrap() error { return e.err }

// confined runs do so that it is undone alone when it fails. itemErr is do's failure,
// txErr is one of the transaction itself or, in a batched try, of that try. Savepoints of
// one name may stand within each other: ROLLBACK TO and RELEASE mean the innermost.
func (t *Tx) confined(do func() error) (itemErr, txErr error) {
	if t.batched {
		if err := safely(do); err != nil {
			return nil, &batchedError{err}
		}
		return nil, nil
	}
	if _, err := t.Exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	if itemErr = safely(do); itemErr != nil {
		if _, err := t.Exec("ROLLBACK TO one"); err != nil {
			return itemErr, errors.Join(itemErr, err)
		}
	}
	if _, err := t.Exec("RELEASE one"); err != nil {
		return itemErr, errors.Join(itemErr, err)
	}
	return itemErr, nil
}
