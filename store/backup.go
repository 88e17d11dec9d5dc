package store

import "context"

// Copied is what a backup holds.
type Copied struct {
	Bills, Reminders, Texts, OptOuts, Events int64
	Bytes                                    int64
}

// Backup writes a copy of the store, as it is at one instant, into a file that
// must not be there yet unless force is given (db.DB.Backup). progress is called now
// and then.
func (s *Store) Backup(ctx context.Context, file string, force bool, progress func(what string, done, of int)) (Copied, error) {
	tables := []string{"bills", "reminders", "texts", "opt_outs", "events"}
	rows, bytes, err := s.db.Backup(ctx, file, force, schema, tables, progress)
	if err != nil {
		return Copied{}, err
	}
	return Copied{Bills: rows[0], Reminders: rows[1], Texts: rows[2], OptOuts: rows[3], Events: rows[4], Bytes: bytes}, nil
}
