package gen

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Copy fills an empty database, whose schema is there already, with what a store in a file
// holds of bills, queues and history. The statistics of the server are new then, and
// what it has written is on disk.
func Copy(ctx context.Context, path, address string) (err error) {
	from, file, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), from.Close()) }()
	to, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	if _, err := to.Exec(ctx, "SET session_replication_role = replica"); err != nil { // the keys of the file are right
		return err
	}
	for table, id := range map[string]string{
		"bills": "id", "phones": "phone_id", "texts": "id", "reminders": "id", "events": "id",
		"due_register": "", "due_recheck": "", "due_remind": "",
	} {
		if err := copyTable(ctx, file, to, table, id); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	_, err = to.Exec(ctx, "CHECKPOINT")
	return err
}

// copyTable copies a table, whose column id is numbered by the database; "" = none is.
func copyTable(ctx context.Context, from *sql.Conn, to *pgx.Conn, table, id string) (err error) {
	rows, err := from.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	n, err := to.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		return values, rows.Scan(into...)
	}))
	if err != nil || n == 0 {
		return err // what is not analysed counts as a young table, and what was analysed as an empty one stays empty
	}
	if id != "" {
		_, err = to.Exec(ctx, strings.NewReplacer("TABLE", table, "ID", id).Replace(
			"SELECT setval(pg_get_serial_sequence('TABLE', 'ID'), coalesce((SELECT max(ID) FROM TABLE), 0) + 1)"))
	}
	if err == nil {
		_, err = to.Exec(ctx, "VACUUM (ANALYZE) "+table)
	}
	return err
}

// CopyCSV has a server take a file of CSV into one new table with a key: the ceiling of an
// import.
func CopyCSV(ctx context.Context, address, file string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	to, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	_, err = to.Exec(ctx, `CREATE TABLE plain (
		service text, account text, phone text, description text, language text, PRIMARY KEY (service, account))`)
	if err == nil {
		_, err = to.PgConn().CopyFrom(ctx, f, "COPY plain FROM STDIN (FORMAT csv, HEADER)")
	}
	return err
}

// AgeQueue leaves so many dead entries at the head of the queue of reminders. A reader that
// began before, as a backup does, keeps them there until release is called, and nothing
// vacuums the queue.
func AgeQueue(ctx context.Context, address string, n int) (release func() error, err error) {
	reader, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, reader.Close(ctx))
		}
	}()
	writer, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, writer.Close(ctx)) }()
	_, err = writer.Exec(ctx, "ALTER TABLE due_remind SET (autovacuum_enabled = off)")
	if err == nil {
		_, err = writer.Exec(ctx, "UPDATE due_remind SET at = bill_id WHERE bill_id <= $1", n)
	}
	if err == nil {
		_, err = reader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM meta")
	}
	if err == nil {
		_, err = writer.Exec(ctx, "UPDATE due_remind SET at = 8000000000000 + bill_id WHERE bill_id <= $1", n)
	}
	return func() error { return reader.Close(ctx) }, err
}

// RecheckDue is MakeRecheckDue on a database, for its first n bills. It changes a fact of
// the store as well, as SetFact does.
func RecheckDue(ctx context.Context, address string, d Due, key, value string) (err error) {
	to, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(ctx)) }()
	_, err = to.Exec(ctx, "UPDATE due_recheck SET at = $1 WHERE bill_id BETWEEN $2 AND $3", d.At.UnixMilli(), d.From, d.From+d.N-1)
	if err == nil {
		_, err = to.Exec(ctx, "UPDATE meta SET value = $2 WHERE key = $1", key, value)
	}
	if err == nil {
		_, err = to.Exec(ctx, "CHECKPOINT")
	}
	return err
}
