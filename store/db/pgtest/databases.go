package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Wanted reports whether the tests are to keep their stores on PostgreSQL, and not in files.
// make test runs them on both.
func Wanted() bool { return os.Getenv("DUEWATCH_TEST_STORE") == "postgres" }

var (
	shared struct {
		sync.Once
		server *Server
		err    error
	}
	templates sync.Map // functions that make one, each once, by their names
	databases atomic.Int64
)

// Shared is the one server of all tests of a process. Main ends it.
func Shared() (*Server, error) {
	shared.Do(func() { shared.server, shared.err = newIn(memoryFolder(), Throwaway) })
	return shared.server, shared.err
}

// Main is the TestMain of a package whose tests may ask for databases. Where all of them
// will, the server is started before the first: a test in a bubble cannot start it.
func Main(m *testing.M) int {
	if Wanted() {
		if _, err := Shared(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// Place is where a new store may be: a file that is not there yet or, where the tests are
// run on PostgreSQL, a database that prepare has brought up to date.
func Place(t testing.TB, prepare func(address string) error) string {
	t.Helper()
	if !Wanted() {
		return filepath.Join(t.TempDir(), "duewatch.db")
	}
	return Database(t, prepare)
}

// Database makes a database for one test, which is removed at its end, and returns its
// address. prepare brings an empty one up to date; it is called once, and all others are
// copies of that one. Where it is nil the database is empty.
func Database(t testing.TB, prepare func(address string) error) string {
	t.Helper()
	server, err := Shared()
	if err != nil {
		t.Fatal(err)
	}
	template := ""
	if prepare != nil {
		template = prepared
		once, _ := templates.LoadOrStore(template, sync.OnceValue(func() error {
			address, err := server.Create(context.Background(), template, "")
			if err != nil {
				return err
			}
			if err := prepare(address); err != nil {
				return err
			}
			return Exec(context.Background(), address, refuseUnlocked)
		}))
		if err := once.(func() error)(); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	address, err := server.Create(t.Context(), name, template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.dropWithCopies(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return address
}

// refuseUnlocked has each write fail whose transaction does not hold the lock of all that write:
// what it has read may not be true any more when it writes. The transaction has locked the one
// row of write_lock (xmax), or changed it (xmin), maybe behind a savepoint: a version that is in
// progress and can be seen is this transaction's.
const refuseUnlocked = `
CREATE FUNCTION refuse_unlocked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (
		SELECT 1 FROM write_lock WHERE pg_current_xact_id()::xid IN (xmin, xmax) OR pg_xact_status(xmin::text::xid8) = 'in progress')
	THEN
		RAISE EXCEPTION 'a write to % without the lock of all that write', TG_TABLE_NAME;
	END IF;
	RETURN NULL;
END $$;
DO $$
DECLARE it regclass;
BEGIN
	FOR it IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
		AND c.relname NOT IN ('write_lock', 'daemons') AND c.relname NOT LIKE 'goose%'
	LOOP
		EXECUTE format('CREATE TRIGGER refuse_unlocked BEFORE INSERT OR UPDATE OR DELETE ON %s '
			'FOR EACH STATEMENT EXECUTE FUNCTION refuse_unlocked()', it);
	END LOOP;
END $$`

const (
	prepared  = "prepared" // the database that others are copies of
	copyInfix = "_copy_"   // in the names of copies, behind that of the first
)

// Copy makes a database with what is committed in another one of Database's that is
// prepared, or in a copy of it, whoever works on it. No daemon has the copy: it is what a
// crash at this instant leaves. It is removed with the first.
func Copy(t testing.TB, address string) string {
	t.Helper()
	to, err := copyOf(context.WithoutCancel(t.Context()), address)
	if err != nil {
		t.Fatalf("copy a database: %v", err)
	}
	return to
}

func copyOf(ctx context.Context, address string) (string, error) {
	server, err := Shared()
	if err != nil {
		return "", err
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(config.Database, copyInfix)
	to, err := server.Create(ctx, fmt.Sprint(first, copyInfix, databases.Add(1)), prepared)
	if err != nil {
		return "", err
	}
	return to, copyRows(ctx, server.URL(config.Database), to)
}

func (s *Server) dropWithCopies(ctx context.Context, name string) (err error) {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows, _ := conn.Query(ctx, "SELECT datname FROM pg_database WHERE datname = $1 OR starts_with(datname, $2)", name, name+copyInfix)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		if _, dropErr := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); dropErr != nil {
			err = errors.Join(err, dropErr)
		}
	}
	return err
}

// Exec runs a statement in a database.
func Exec(ctx context.Context, address, statement string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

func copyRows(ctx context.Context, from, to string) (err error) {
	source, err := pgx.Connect(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close(ctx)) }()
	target, err := pgx.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close(ctx)) }()
	if _, err = source.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	// The role replica leaves foreign keys out, so tables can come in any order.
	if _, err = target.Exec(ctx, "SET session_replication_role = replica; BEGIN"); err != nil {
		return err
	}
	rows, _ := source.Query(ctx, "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'daemons'")
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		var data bytes.Buffer
		if _, err = source.PgConn().CopyTo(ctx, &data, "COPY "+table+" TO STDOUT (FORMAT binary)"); err != nil {
			return err
		}
		if _, err = target.Exec(ctx, "DELETE FROM "+table); err != nil {
			return err
		}
		if _, err = target.PgConn().CopyFrom(ctx, &data, "COPY "+table+" FROM STDIN (FORMAT binary)"); err != nil {
			return err
		}
	}
	const numbering = "SELECT format('SELECT setval(%L, %s)', sequencename, last_value) FROM pg_sequences WHERE last_value IS NOT NULL"
	rows, _ = source.Query(ctx, numbering)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	_, err = target.Exec(ctx, strings.Join(append(numbers, "COMMIT"), "; "))
	return err
}
