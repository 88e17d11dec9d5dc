package store

import (
	"context"
	"database/sql"
	"fmt"

	"duewatch/reminder"
	"duewatch/store/db"
)

// ImportIndex is the list of bills read from one file. It finds those that stand there
// twice however long the file is: it is a database of its own, which ends with the
// process (db.Temporary). It is safe for one goroutine at a time.
type ImportIndex struct {
	db    *db.Temporary
	keeps bool
}

const listTables = `
	CREATE TABLE listed (service TEXT NOT NULL, account TEXT NOT NULL, line INTEGER NOT NULL, PRIMARY KEY (service, account)) WITHOUT ROWID;
	CREATE TABLE kept (line INTEGER PRIMARY KEY, service TEXT NOT NULL, account TEXT NOT NULL, phone TEXT NOT NULL,
		language TEXT NOT NULL, description TEXT NOT NULL)`

var (
	listRowsSQL = db.NewBatch("INSERT INTO listed (service, account, line) VALUES %s ON CONFLICT DO NOTHING", 0, db.Text, db.Text, db.Integer)
	keepRowsSQL = db.NewBatch("INSERT INTO kept (line, service, account, phone, language, description) VALUES %s", 0,
		db.Integer, db.Text, db.Text, db.Text, db.Text, db.Text)
	findRowsSQL = db.NewBatch("SELECT service, account, line FROM listed WHERE (service, account) IN (VALUES %s)", 0, db.Text, db.Text)
)

// NewImportIndex makes an empty list. One that keeps can give the bills back with Each.
// It works until it is closed: a reload reads the file in a context that ends before the
// list is declared.
func NewImportIndex(ctx context.Context, keeps bool) (*ImportIndex, error) {
	temporary, err := db.OpenTemporary(ctx, listTables)
	if err != nil {
		return nil, fmt.Errorf("make a list in the temporary folder: %w", err)
	}
	return &ImportIndex{db: temporary, keeps: keeps}, nil
}

// Close drops the list.
func (r *ImportIndex) Close() error {
	if r == nil {
		return nil
	}
	return r.db.Close()
}

// Add adds bills; of those of one identity the one that counts comes first. Those
// that were listed before are in doubles: the place in rows, and the line that named it first.
func (r *ImportIndex) Add(rows []reminder.ListedBill) (doubles map[int]int, err error) {
	added, err := db.ExecBatch(r.db.Tx, listRowsSQL, rows, func(args []any, l reminder.ListedBill) []any {
		return append(args, l.Bill.Service, l.Bill.Account, l.Line)
	})
	if err == nil && r.keeps {
		_, err = db.ExecBatch(r.db.Tx, keepRowsSQL, rows, func(args []any, l reminder.ListedBill) []any {
			return append(args, l.Line, l.Bill.Service, l.Bill.Account, l.Bill.Phone.E164(), l.Bill.Language, l.Bill.Description)
		})
	}
	if err == nil && added < int64(len(rows)) {
		doubles, err = r.doubles(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("list bills in the temporary folder: %w", err)
	}
	return doubles, nil
}

func (r *ImportIndex) doubles(rows []reminder.ListedBill) (map[int]int, error) {
	bills := make([]reminder.Bill, len(rows))
	for i, l := range rows {
		bills[i] = l.Bill
	}
	lines, err := r.lines(bills)
	if err != nil {
		return nil, err
	}
	doubles := map[int]int{}
	for i, l := range rows {
		if first := lines[identity{l.Bill.Service, l.Bill.Account}]; first != l.Line {
			doubles[i] = first
		}
	}
	return doubles, nil
}

// lines are where bills are listed.
func (r *ImportIndex) lines(bills []reminder.Bill) (map[identity]int, error) {
	lines := make(map[identity]int, len(bills))
	var id identity // each in turn
	var line int
	columns := []sql.Scanner{db.TextTo(&id.service), db.TextTo(&id.account), db.NumberTo(&line)}
	return lines, db.QueryBatch(r.db.Tx, findRowsSQL, bills, ofIdentity, columns, func() error {
		lines[id] = line
		return nil
	})
}

// missing are those bills that are not listed: all of them when there is no
// list.
func (r *ImportIndex) missing(bills []reminder.Bill) (missing []reminder.Bill, err error) {
	if r == nil {
		return bills, nil
	}
	lines, err := r.lines(bills)
	if err != nil {
		return nil, fmt.Errorf("find bills in the temporary folder: %w", err)
	}
	for _, b := range bills {
		if lines[identity{b.Service, b.Account}] == 0 {
			missing = append(missing, b)
		}
	}
	return missing, nil
}

// Each calls do for all bills in the order of their lines, n at a time, and
// stops at its first error.
func (r *ImportIndex) Each(n int, do func([]reminder.ListedBill) error) error {
	for last := 0; ; {
		rows := r.db.Query(`SELECT line, service, account, phone, language, description FROM kept
			WHERE line > ?1 ORDER BY line LIMIT ?2 + 0`, last, n)
		page, err := db.Collect(rows, func(r db.Scanner) (l reminder.ListedBill, err error) {
			err = r.Scan(&l.Line, &l.Bill.Service, &l.Bill.Account, &l.Bill.Phone, &l.Bill.Language, &l.Bill.Description)
			return l, err
		})
		if err != nil {
			return fmt.Errorf("read the list in the temporary folder: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		last = page[len(page)-1].Line
		if err := do(page); err != nil { // which may sort them
			return err
		}
	}
}
