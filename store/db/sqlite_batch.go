package db

import "regexp"

// withoutStatementUndo has a statement of a batch fail without being undone alone (OR
// FAIL): it takes its transaction or its savepoint with it in any case, so SQLite need
// not keep the old pages of each, which costs more than many rows in one call save.
func withoutStatementUndo(query string) string {
	return writesTable.ReplaceAllStringFunc(query, func(verb string) string {
		switch verb {
		case "INSERT INTO ":
			return "INSERT OR FAIL INTO "
		case "UPDATE ":
			return "UPDATE OR FAIL "
		}
		return verb // DO UPDATE, of an upsert
	})
}

var writesTable = regexp.MustCompile(`INSERT INTO |(?:DO )?UPDATE `)

// insertRowsSQLite is insertRows: the ids are the next ones in a row, since nobody else
// writes meanwhile.
func (t *Tx) insertRowsSQLite(query string, args []any, ids []int64) ([]int64, error) {
	changed, err := t.execRowsSQLite(query, args)
	if err != nil || changed == 0 {
		return ids, err
	}
	var last int64
	if err := t.Row("SELECT last_insert_rowid()").Scan(&last); err != nil {
		return nil, err
	}
	for id := last - changed + 1; id <= last; id++ {
		ids = append(ids, id)
	}
	return ids, nil
}

// execRowsSQLite is execRows. The driver hands over all arguments in one call where rows
// are asked for, and otherwise each in a call of its own.
func (t *Tx) execRowsSQLite(query string, args []any) (changed int64, err error) {
	if err := t.EachRow(query, args, nil, nil); err != nil {
		return 0, err
	}
	err = t.Row("SELECT changes()").Scan(&changed)
	return changed, err
}
