package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"duewatch/store/db/pgtest"
)

// nth is a fault of the nth statement from now on that begins so.
func nth(n int64, beginning string, f pgtest.Fault) func(string) pgtest.Fault {
	var seen atomic.Int64
	return func(statement string) pgtest.Fault {
		if strings.HasPrefix(statement, beginning) && seen.Add(1) == n {
			return f
		}
		return pgtest.None
	}
}

func rowsOf(t testing.TB, database, key string) int64 {
	t.Helper()
	return askAside[int64](t, database, "SELECT count(*) FROM meta WHERE key = '"+key+"'")
}

// A write of a daemon is in the store exactly once when it is said to be, and not at all when it
// is said to have failed, whatever becomes of its connection.
func TestAWriteIsMadeOnceWhateverBecomesOfItsConnection(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	d := daemonAt(t, address)
	mustDo(t, d.Write(setMeta("first"))) // its statement is prepared from now on
	for i, tt := range []struct {
		name, statement string
		fault           pgtest.Fault
		runs            int
		fails           string // "" = it does not
	}{
		{"nothing goes wrong", "no such statement", pgtest.None, 1, ""},
		{"cut before the server has the COMMIT", "COMMIT", pgtest.CutBefore, 2, ""},
		{"cut before the answer to the COMMIT", "COMMIT", pgtest.CutAfter, 1, ""},
		{"a warning at the COMMIT", "COMMIT", pgtest.Warned, 1, ""},
		{"ended by an administrator at the COMMIT", "COMMIT", pgtest.Terminate, 2, ""},
		{"cancelled by an administrator at the COMMIT", "COMMIT", pgtest.Cancel, 1, "was cancelled at the server"},
		{"cut before a statement", "INSERT", pgtest.CutBefore, 2, ""},
		{"cut before the answer to a statement", "INSERT", pgtest.CutAfter, 2, ""},
		{"ended by an administrator at a statement", "INSERT", pgtest.Terminate, 2, ""},
		{"cancelled by an administrator at a statement", "INSERT", pgtest.Cancel, 1, "was cancelled at the server"},
		{"cut before the server has the BEGIN", "BEGIN", pgtest.CutBefore, 1, ""},
		{"cut before the answer to the BEGIN", "BEGIN", pgtest.CutAfter, 1, ""},
		{"ended by an administrator at the BEGIN", "BEGIN", pgtest.Terminate, 1, ""},
		{"cancelled by an administrator at the BEGIN", "BEGIN", pgtest.Cancel, 0, "was cancelled at the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs, key := 0, fmt.Sprint(i)
			gate.Strike(nth(1, tt.statement, tt.fault))
			err := d.Write(func(x *Tx) error { runs++; return setMeta(key)(x) })
			gate.Strike(nil)
			want := int64(1)
			if tt.fails != "" {
				want = 0
			}
			if (err != nil) != (tt.fails != "") || (err != nil && !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("it returns %v, want %q", err, tt.fails)
			}
			if got := rowsOf(t, database, key); got != want {
				t.Errorf("%d rows are there, want %d", got, want)
			}
			if runs != tt.runs {
				t.Errorf("it was run %d times, want %d", runs, tt.runs)
			}
			mustDo(t, d.Write(setMeta(key+" next")))
		})
	}
	if since, why := d.Lost(); !since.IsZero() {
		t.Errorf("the connection is still taken for lost: %v", why)
	}
}

func TestAGroupOfWritesIsMadeOnceWhateverBecomesOfItsConnection(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	d := daemonAt(t, address)
	mustDo(t, d.Write(setMeta("first")))
	for i, fault := range []pgtest.Fault{pgtest.CutBefore, pgtest.CutAfter, pgtest.Warned, pgtest.Terminate} {
		for statement, n := range map[string]int64{"COMMIT": 2, "INSERT": 2} { // the first COMMIT is that of who keeps the writer busy
			gate.Strike(nth(n, statement, fault))
			keys := []string{fmt.Sprint(i, statement, "a"), fmt.Sprint(i, statement, "b"), fmt.Sprint(i, statement, "c")}
			if err := errors.Join(queued(t, d, setMeta(keys[0]), setMeta(keys[1]), setMeta(keys[2]))...); err != nil {
				t.Errorf("fault %d at %s: %v", fault, statement, err)
			}
			for _, key := range keys {
				if got := rowsOf(t, database, key); got != 1 {
					t.Errorf("fault %d at %s: %d rows of one write", fault, statement, got)
				}
			}
		}
	}
}

// A read whose connection is lost is asked again, and what it returns is right.
func TestAReadIsWholeOrFails(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	d := daemonAt(t, address)
	mustDo(t, d.Write(setMeta("a")))
	const count = "SELECT count(*) FROM meta WHERE key = 'a'"
	for _, statement := range []string{"SELECT set_config", "SELECT count"} {
		for _, fault := range []pgtest.Fault{pgtest.CutBefore, pgtest.CutAfter, pgtest.Terminate, pgtest.Cancel} {
			gate.Strike(nth(1, statement, fault))
			var n int64
			err := d.Reader(t.Context()).Row(count).Scan(&n)
			gate.Strike(nil)
			if fault == pgtest.Cancel {
				if err == nil || !strings.Contains(err.Error(), "was cancelled at the server") {
					t.Errorf("cancelled at %s: %v", statement, err)
				}
			} else if err != nil || n != 1 {
				t.Errorf("fault %d at %s: it reads %d, %v", fault, statement, n, err)
			}
			if n := number(t, d, count); n != 1 {
				t.Errorf("after fault %d at %s: it reads %d", fault, statement, n)
			}
		}
	}
}

// A statement may itself be what ends the connection, as by a limit of a proxy: nobody would ever
// learn of it.
func TestAReadThatLosesEachConnectionFails(t *testing.T) {
	gate, address := gated(t, newDatabase(t))
	d := daemonAt(t, address)
	var asked atomic.Int64
	gate.Strike(func(statement string) pgtest.Fault {
		if strings.HasPrefix(statement, "SELECT count") {
			asked.Add(1)
			return pgtest.CutAfter
		}
		return pgtest.None
	})
	var n int64
	err := d.Reader(t.Context()).Row("SELECT count(*) FROM meta").Scan(&n)
	if !errors.Is(err, errLostAtEach) || asked.Load() != lossesAtMost+1 {
		t.Errorf("asked %d times, it returns %v", asked.Load(), err)
	}
	if since, why := d.Lost(); !since.IsZero() {
		t.Errorf("the server counts as lost, which answers: %v", why)
	}
}

// A pooler lets in whom it cannot serve, and a network may swallow all that is said.
func TestAServerThatLetsInAndDoesNothingIsWaitedFor(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	d := daemonAt(t, address+"&connect_timeout=1")
	endEach := func() { gate.Strike(func(string) pgtest.Fault { return pgtest.CutBefore }) }
	endNone := func() { gate.Strike(nil) }
	for _, tt := range []struct {
		name       string
		away, back func()
	}{
		{"each connection ends at its first statement", endEach, endNone},
		{"the same, and the server does not say its timeline", func() {
			d.engine.(*postgres).newest.Store(&timeline{})
			endEach()
		}, endNone},
		{"it answers nothing", func() { gate.Swallow(true); gate.Cut() }, func() { gate.Swallow(false) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.away()
			done := make(chan error, 2)
			go func() {
				var n int64
				done <- d.Reader(t.Context()).Row("SELECT count(*) FROM meta").Scan(&n)
			}()
			go func() { done <- d.Write(setMeta(tt.name)) }()
			select {
			case err := <-done:
				t.Errorf("it has not waited: %v", err)
			case <-time.After(4 * time.Second): // for some tries
				if since, _ := d.Lost(); since.IsZero() {
					t.Error("the server does not count as lost")
				}
				tt.back()
				mustDo(t, errors.Join(<-done, <-done))
			}
			tt.back()
		})
	}
}

// A read that is given up says nothing of the server, neither that it is lost nor that it is back.
func TestAReadThatIsGivenUpDoesNotEndALoss(t *testing.T) {
	gate, address := gated(t, newDatabase(t))
	d := must(OpenReader(t.Context(), address, serverSchema))
	closedAtEnd(t, d)
	p := d.engine.(*postgres)
	for _, lost := range []bool{false, true} {
		p.noteConnection(false, nil)
		for range 2 { // a connection is there, and was used before: the driver asks a new one whether it lives
			mustDo(t, d.Reader(t.Context()).Row("SELECT 1").Scan(new(int64)))
		}
		if lost {
			p.noteConnection(true, io.EOF)
		}
		gate.Swallow(true)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := d.Reader(ctx).Row("SELECT 1").Scan(new(int64))
		cancel()
		gate.Swallow(false)
		if since, _ := d.Lost(); err == nil || lost == since.IsZero() {
			t.Errorf("lost before: %t, afterwards since %s; it returns %v", lost, since, err)
		}
	}
}

// A failure in the middle of the rows is told, and leaves nothing behind.
func TestAReadThatFailsInTheMiddleIsNotTakenForWhole(t *testing.T) {
	d := daemonAt(t, newDatabase(t))
	read := 0
	rows := d.Reader(t.Context()).Query("SELECT 1 / (50000 - i) FROM generate_series(1, 100000) i")
	_, err := Collect(rows, func(r Scanner) (n int64, err error) {
		read++
		err = r.Scan(&n)
		return n, err
	})
	if read < 2 || err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("%d rows, %v", read, err)
	}
	if inUse := d.read.Stats().InUse; inUse != 0 {
		t.Errorf("%d connections are in use", inUse)
	}
}

// A single read has the settings of a transaction, cannot write, and leaves nothing behind.
func TestAReadHasSettingsOfItsOwn(t *testing.T) {
	d := daemonAt(t, newDatabase(t))
	r := d.Reader(t.Context())
	for _, s := range append(planSettings, struct{ name, value string }{"transaction_read_only", "on"}) {
		var has string
		mustDo(t, r.Row("SELECT current_setting(?1)", s.name).Scan(&has))
		if has != s.value {
			t.Errorf("%s is %s, want %s", s.name, has, s.value)
		}
		mustDo(t, d.read.QueryRow("SELECT current_setting($1)", s.name).Scan(&has))
		if has == s.value {
			t.Errorf("%s is still %s after it", s.name, has)
		}
	}
	var key string
	err := r.Row("INSERT INTO meta (key, value) VALUES ('a', 'b') RETURNING key").Scan(&key)
	if e, _ := errors.AsType[*pgconn.PgError](err); e == nil || e.Code != codeReadOnly {
		t.Errorf("a write is answered with %v", err)
	}
	if n := number(t, d, "SELECT count(*) FROM meta WHERE key = 'a'"); n != 0 {
		t.Errorf("it has written %d rows", n)
	}
}

// A command has nobody to ask whether its change was made: it does not repeat it, and says so.
func TestACommandDoesNotRepeatAChangeWhoseEndIsNotKnown(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	for _, tt := range []struct {
		name  string
		fault pgtest.Fault
		says  string
	}{
		{"the answer is lost", pgtest.CutAfter, "before you repeat it"},
		{"the server never had it", pgtest.CutBefore, "before you repeat it"},
		{"the standby has not confirmed it", pgtest.Warned, "may not have reached its standby"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := closedAtEnd(t, must(OpenWriter(t.Context(), address, serverSchema)))
			runs := 0
			gate.Strike(nth(1, "COMMIT", tt.fault))
			err := d.Write(func(x *Tx) error { runs++; return setMeta(tt.name)(x) })
			gate.Strike(nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("it returns %v, want %q", err, tt.says)
			}
			if runs != 1 {
				t.Errorf("it was run %d times", runs)
			}
		})
	}
}

// Until somebody can say whether a transaction was committed, nobody is told that it was.
func TestAWriteWaitsForTheServerToSayWhetherItWasCommitted(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	d := daemonAt(t, address)
	gone := make(chan struct{})
	gate.Strike(func(statement string) pgtest.Fault {
		if statement != "COMMIT" {
			return pgtest.None
		}
		gate.Strike(nil)
		go func() { // nor is there a new connection
			gate.Shut()
			close(gone)
		}()
		<-gone
		return pgtest.CutBefore
	})
	done := make(chan error, 1)
	go func() { done <- d.Write(setMeta("a")) }()
	<-gone
	for since, _ := d.Lost(); since.IsZero(); since, _ = d.Lost() {
		runtime.Gosched()
	}
	select {
	case err := <-done:
		t.Errorf("nobody could know, and it returned %v", err)
	default:
	}
	gate.Open()
	mustDo(t, <-done)
	if got := rowsOf(t, database, "a"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	if since, why := d.Lost(); !since.IsZero() {
		t.Errorf("the connection is still taken for lost: %v", why)
	}
}

// A daemon that is told to end while the server is away does not wait for ever.
func TestAWriteGivesUpOnceTheDaemonCloses(t *testing.T) {
	gate, address := gated(t, newDatabase(t))
	d := must(OpenDaemon(t.Context(), address, serverSchema))
	gate.Shut()
	done := make(chan error, 1)
	go func() { done <- d.Write(setMeta("a")) }()
	for since, _ := d.Lost(); since.IsZero(); since, _ = d.Lost() {
		runtime.Gosched()
	}
	mustDo(t, d.Close())
	if err := <-done; err == nil {
		t.Error("it was made without a server")
	}
}

// An idle transaction is ended by the server, and run again by us.
func TestATransactionThatTheServerEndedForIdlenessIsRunAgain(t *testing.T) {
	database := newDatabase(t)
	d := daemonAt(t, database)
	runs := 0
	mustDo(t, d.Write(func(x *Tx) error {
		if runs++; runs == 1 {
			var pid int64
			if err := x.Row("SELECT pg_backend_pid() FROM set_config('idle_in_transaction_session_timeout', '20ms', true)").Scan(&pid); err != nil {
				return err
			}
			for askAside[int64](t, database, fmt.Sprint("SELECT count(*) FROM pg_stat_activity WHERE pid = ", pid)) > 0 {
				runtime.Gosched()
			}
		}
		return setMeta("a")(x)
	}))
	if got := rowsOf(t, database, "a"); runs != 2 || got != 1 {
		t.Errorf("run %d times, %d rows", runs, got)
	}
}

// A program that writes our rows in another order may deadlock with us: our transaction is the
// one that gives way, and is run again.
func TestADeadlockIsRunAgain(t *testing.T) {
	database := newDatabase(t)
	d := daemonAt(t, database)
	mustDo(t, d.Write(func(x *Tx) error { return errors.Join(setMeta("a")(x), setMeta("b")(x)) }))
	stranger := must(pgx.Connect(t.Context(), database))
	defer stranger.Close(t.Context()) //nolint:errcheck // its transaction has ended
	const change = "UPDATE meta SET value = value || '.' WHERE key = "
	// It does not hold the lock of all that write, which a trigger of the tests would refuse.
	must(stranger.Exec(t.Context(), "SET session_replication_role = replica; SET deadlock_timeout = '1min'; BEGIN; "+change+"'a'"))
	changed := make(chan error, 1)
	runs := 0
	mustDo(t, d.Write(func(x *Tx) error {
		runs++
		if _, err := x.Exec(change + "'b'"); err != nil {
			return err
		}
		if runs == 1 {
			go func() {
				_, err := stranger.Exec(context.WithoutCancel(t.Context()), change+"'b'; COMMIT")
				changed <- err
			}()
			for askAside[int64](t, database, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0 {
				runtime.Gosched()
			}
		}
		_, err := x.Exec(change + "'a'")
		return err
	}))
	mustDo(t, <-changed)
	if got := askAside[string](t, database, "SELECT string_agg(value, ' ') FROM meta WHERE key IN ('a', 'b')"); runs != 2 || got != "written.. written.." {
		t.Errorf("run %d times, and they are %q", runs, got)
	}
}

// A lock that another program holds for too long is named, and nothing is written.
func TestARowThatIsKeptLockedIsNamed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for ten seconds")
	}
	database := newDatabase(t)
	d := daemonAt(t, database)
	stranger := must(pgx.Connect(t.Context(), database))
	defer stranger.Close(t.Context()) //nolint:errcheck // its transaction is undone with that
	must(stranger.Exec(t.Context(), "BEGIN; SELECT * FROM write_lock FOR UPDATE"))
	if err := d.Write(setMeta("a")); err == nil || !strings.Contains(err.Error(), "another program kept the store locked for 10s") {
		t.Errorf("error %v", err)
	}
	must(stranger.Exec(t.Context(), "ROLLBACK"))
	mustDo(t, d.Write(setMeta("a")))
}

// What the server answers when its disk is full is faked by a trigger, with the same code.
func TestAFullDiskOfTheServerIsNamed(t *testing.T) {
	database := newDatabase(t)
	d := daemonAt(t, database)
	aside(t, database, `CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN RAISE 'could not extend file "base/1/2": No space left on device' USING ERRCODE = '53100'; END$$;
		CREATE TRIGGER disk_full BEFORE INSERT ON meta FOR EACH ROW WHEN (NEW.key = 'fill') EXECUTE FUNCTION disk_full()`)
	if err := d.Write(setMeta("fill")); err == nil || !strings.Contains(err.Error(), "the disk of the database server is full: free some space there") {
		t.Errorf("alone: %v", err)
	}
	for i, err := range queued(t, d, setMeta("a"), setMeta("fill"), setMeta("b")) {
		key := []string{"a", "fill", "b"}[i]
		if there := rowsOf(t, database, key) == 1; there != (err == nil) { // what they are told must be true
			t.Errorf("%s was told %v, and is there: %v", key, err, there)
		}
	}
	aside(t, database, "DROP TRIGGER disk_full ON meta")
	mustDo(t, d.Write(setMeta("fill")))
}

// A write that goes on although one of its statements failed is not committed.
func TestATransactionInWhichAStatementFailedIsNotSaidToBeCommitted(t *testing.T) {
	database := newDatabase(t)
	d := daemonAt(t, database)
	err := d.Write(func(x *Tx) error {
		_, _ = x.Exec("INSERT INTO absent VALUES (1)")
		return nil
	})
	if err == nil {
		t.Error("it was said to be committed")
	}
	mustDo(t, d.Write(setMeta("a")))
}

// The server dies in the middle of writes, and comes back: what was said to be written is there,
// and what waited goes on by itself.
func TestWritesGoOnAfterTheServerWasKilled(t *testing.T) {
	t.Parallel()
	theServer(t) // or there is none
	server := must(pgtest.New())
	defer func() { mustDo(t, server.Close()) }()
	database := must(server.Create(t.Context(), "duewatch", ""))
	d := must(OpenDaemon(t.Context(), database, serverSchema))
	var said atomic.Int64
	stop, ended := make(chan struct{}), make(chan error, 4)
	for w := range cap(ended) {
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
				if err := d.Write(setMeta(fmt.Sprint(w, " ", i))); err != nil {
					ended <- err
					return
				}
				said.Add(1)
			}
		}()
	}
	await := func(n int64) {
		for said.Load() < n {
			runtime.Gosched()
			if len(ended) > 0 {
				t.Fatal(<-ended)
			}
		}
	}
	for range 2 {
		await(said.Load() + 50)
		mustDo(t, server.Kill(syscall.SIGKILL))
		for since, _ := d.Lost(); since.IsZero(); since, _ = d.Lost() {
			runtime.Gosched()
		}
		mustDo(t, server.Restart())
		back := time.Now()
		await(said.Load() + 50)
		if took := time.Since(back); took > 30*time.Second {
			t.Errorf("writes went on %s after the server was back", took)
		}
	}
	close(stop)
	for range cap(ended) {
		mustDo(t, <-ended)
	}
	if got := askAside[int64](t, database, "SELECT count(*) FROM meta WHERE value = 'written'"); got != said.Load() {
		t.Errorf("%d rows are there, and %d were said to be", got, said.Load())
	}
	mustDo(t, d.Close())
}
