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
	for _, s := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := to.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
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
	_, err = to.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		return values, rows.Scan(into...)
	}))
	if err == nil && id != "" {
		_, err = to.Exec(ctx, strings.NewReplacer("TABLE", table, "ID", id).Replace(
			"SELECT setval(pg_get_serial_sequence('TABLE', 'ID'), coalesce((SELECT max(ID) FROM TABLE), 0) + 1)"))
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

// AgeQueues leaves so many dead entries at the head of each queue of a database, and keeps
// them there until release is called: as a backup does that reads a state from before.
func AgeQueues(ctx context.Context, address string, n int) (release func() error, err error) {
	reader, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	release = func() error { return reader.Close(ctx) }
	defer func() {
		if err != nil {
			err = errors.Join(err, release())
		}
	}()
	writer, err := pgx.Connect(ctx, address)
	if err != nil {
		return release, err
	}
	defer func() { err = errors.Join(err, writer.Close(ctx)) }()
	for _, queue := range []string{"due_register", "due_recheck", "due_remind"} {
		_, err = writer.Exec(ctx, "INSERT INTO "+queue+` (bill_id, at) SELECT id, id FROM bills ORDER BY id LIMIT $1
			ON CONFLICT (bill_id) DO UPDATE SET at = excluded.at`, n)
		if err != nil {
			return release, err
		}
	}
	if _, err = reader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM meta"); err != nil {
		return release, err
	}
	for _, queue := range []string{"due_register", "due_recheck", "due_remind"} {
		if _, err = writer.Exec(ctx, "UPDATE "+queue+" SET at = 8000000000000 + bill_id WHERE at < 8000000000000"); err != nil {
			return release, err
		}
	}
	return release, nil
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
