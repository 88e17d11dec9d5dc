package db

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db/pgtest"
)

// mayDecide is what Decide says.
func mayDecide(t testing.TB, d *DB, config, mode string) bool {
	t.Helper()
	return must(d.Decide(t.Context(), "0.1.0", config, mode, true))
}

// twoDaemons are two that work by one config.
func twoDaemons(t testing.TB, database string) (first, second *DB) {
	t.Helper()
	first, second = daemonAt(t, database), daemonAt(t, database)
	for _, d := range []*DB{first, second} {
		if !mayDecide(t, d, "a", "live") {
			t.Fatal("it must wait")
		}
	}
	return first, second
}

func TestDaemonsOfOneConfigWorkTogether(t *testing.T) {
	database := newDatabase(t)
	first, second := twoDaemons(t, database)
	for i := range 3 {
		mustDo(t, first.Write(setMeta(fmt.Sprint("a", i))))
		mustDo(t, second.Write(setMeta(fmt.Sprint("b", i))))
	}
	leaders := 0
	for _, m := range must(second.Members(t.Context())) {
		if m.Leads {
			leaders++
			if m.Self {
				t.Error("the second leads, though the first is there")
			}
		}
	}
	if leaders != 1 {
		t.Errorf("%d lead", leaders)
	}
	mustDo(t, first.Close())
	if all := must(second.Members(t.Context())); len(all) != 1 || !all[0].Leads || !all[0].Self {
		t.Errorf("when the first has ended there are %+v", all)
	}
}

// What a daemon of another config would do is wait, until the others are gone or released.
func TestADaemonOfAnotherConfigWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second string // their modes
		displaced     bool   // the first one is, by the second
	}{
		"both text customers":               {first: "live", second: "live"},
		"the second is off":                 {first: "live", second: "off"},
		"the second texts an allowlist":     {first: "live", second: "allowlist"},
		"neither texts customers":           {first: "off", second: "redirect"},
		"the second alone texts customers":  {first: "allowlist", second: "live", displaced: true},
		"the first is off, the second live": {first: "off", second: "live", displaced: true},
	} {
		t.Run(name, func(t *testing.T) {
			database := newDatabase(t)
			first, second := daemonAt(t, database), daemonAt(t, database)
			if !mayDecide(t, first, "a", tt.first) {
				t.Fatal("the first must wait")
			}
			if may := mayDecide(t, second, "b", tt.second); may != tt.displaced {
				t.Errorf("the second may decide: %v", may)
			}
			works, waits := first, second
			if tt.displaced {
				works, waits = second, first
			}
			mustDo(t, works.Write(setMeta("a")))
			if err := waits.Write(setMeta("b")); !errors.Is(err, ErrDisplaced) {
				t.Errorf("who waits writes: %v", err)
			}
			mustDo(t, works.Close())
			if tt.displaced {
				return // it has to start again
			}
			if !mayDecide(t, second, "b", tt.second) {
				t.Error("it waits though the first is gone")
			}
		})
	}
}

// leaseOf has the lease be that of another daemon, for a while from now on.
func leaseOf(t testing.TB, database, place string, pid int, lasts time.Duration) {
	t.Helper()
	aside(t, database, fmt.Sprintf(`DELETE FROM daemons;
		INSERT INTO daemons (owner, host, place, pid, version, config, mode, decides, compared, since, seen_at, until_at, commits)
		VALUES ('another', 'elsewhere', '%s', %d, '', 'other', 'live', 1, '', 0, %s, %[3]s + %d, 0)`, place, pid, serverNow, lasts.Milliseconds()))
}

func TestADaemonTakesOverFromOneThatIsDead(t *testing.T) {
	const nobody = 1<<22 + 1 // past the numbers of processes
	database := newDatabase(t)
	leaseOf(t, database, place(), nobody, time.Hour)
	d := daemonAt(t, database)
	mustDo(t, d.Write(setMeta("a")))
	if all := must(d.Members(t.Context())); len(all) != 1 {
		t.Errorf("there are %+v", all)
	}
}

func TestADaemonElsewhereCountsAsLivingUntilItsLeaseEnds(t *testing.T) {
	database := newDatabase(t)
	const left = 1500 * time.Millisecond
	began := time.Now()
	leaseOf(t, database, "another boot", os.Getpid(), left)
	d := daemonAt(t, database)
	for !mayDecide(t, d, "a", "live") {
		if time.Since(began) > leaseFor {
			t.Fatal("it waits for ever")
		}
		<-time.After(50 * time.Millisecond)
	}
	const exact = time.Millisecond // the server's clock is read in
	if took := time.Since(began); took < left-exact {
		t.Errorf("it works after %s of a lease of %s", took, left)
	}
}

// One that leads has to work, or the others wait for it.
func TestADaemonThatIsNotAbleToWorkLeadsNobody(t *testing.T) {
	database := newDatabase(t)
	first, second := daemonAt(t, database), daemonAt(t, database)
	if must(first.Decide(t.Context(), "0.1.0", "a", "live", false)) {
		t.Error("it may decide")
	}
	if !mayDecide(t, second, "b", "live") {
		t.Error("the other one waits for it")
	}
	for _, m := range must(second.Members(t.Context())) {
		if m.Leads != m.Self {
			t.Errorf("the leader is not the one that works: %+v", m)
		}
		if m.Version != "0.1.0" {
			t.Errorf("its version is not told: %+v", m)
		}
	}
	if err := first.Write(setMeta("a")); !errors.Is(err, ErrDisplaced) {
		t.Errorf("it writes: %v", err)
	}
}

func TestWhoMustBeAloneHasTheStoreAlone(t *testing.T) {
	database := newDatabase(t)
	d := daemonAt(t, database)
	if _, err := OpenAlone(t.Context(), database, serverSchema); !errors.Is(err, ErrLocked) {
		t.Errorf("beside a daemon: %v, want ErrLocked", err)
	}
	mustDo(t, d.Close())
	alone := closedAtEnd(t, must(OpenAlone(t.Context(), database, serverSchema)))
	if _, err := OpenDaemon(t.Context(), database, serverSchema); !errors.Is(err, ErrLocked) {
		t.Errorf("a daemon beside it: %v, want ErrLocked", err)
	}
	mustDo(t, alone.Write(setMeta("a")))
}

// Texts of several daemons leave one behind the other at the rate that they share.
func TestTurnsOfSeveralDaemonsAreReservedOneBehindTheOther(t *testing.T) {
	database := newDatabase(t)
	first, second := twoDaemons(t, database)
	const perSecond = 2
	began := time.Now()
	reserve := func(d *DB, segments int) (turn time.Time) {
		mustDo(t, d.Write(func(x *Tx) (err error) {
			turn, _, err = x.ReservePace(segments, perSecond)
			return err
		}))
		return turn
	}
	var last time.Time
	for i := range 4 {
		turn := reserve([]*DB{first, second}[i%2], 10)
		if behind := turn.Sub(last); i > 0 && (behind-5*time.Second).Abs() > time.Second/2 {
			t.Errorf("the turn of number %d is %s behind the one before, want 5s", i, behind)
		}
		if ahead := turn.Sub(began); i == 0 && (ahead < paceLead(perSecond) || ahead > 2*time.Second) {
			t.Errorf("the first turn is in %s", ahead)
		}
		last = turn
	}
	// What a clock of the server reserved that was set back since is nobody's.
	aside(t, database, "UPDATE write_lock SET paced_to = paced_to + 3600 * 1000000::bigint")
	if wait := time.Until(reserve(second, 40)); wait > time.Second {
		t.Errorf("an hour that is to come keeps all texts back: the turn is in %s", wait)
	}
	err := first.Write(func(x *Tx) error {
		_, _, err := x.ReservePace(1000, perSecond)
		return errors.Join(err, errors.New("undone"))
	})
	if err == nil {
		t.Fatal("it is not undone")
	}
	if wait := time.Until(reserve(second, 1)); wait > 21*time.Second {
		t.Errorf("what was undone keeps its turns: %s", wait)
	}
}

// A daemon whose lease was taken by another can commit nothing more, and knows it.
func TestADaemonThatWasReplacedCommitsNothing(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, gate *pgtest.Gate, replace func()){
		"before it begins": func(_ *testing.T, _ *pgtest.Gate, replace func()) { replace() },
		"while nobody knows whether it has committed": func(_ *testing.T, gate *pgtest.Gate, replace func()) {
			strike := nth(1, "COMMIT", pgtest.CutBefore)
			gate.Strike(func(statement string) pgtest.Fault {
				f := strike(statement)
				if strings.HasPrefix(statement, "SELECT commits FROM daemons") {
					gate.Strike(nil)
					replace()
				}
				return f
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			database := newDatabase(t)
			gate, address := gated(t, database)
			d := daemonAt(t, address)
			mustDo(t, d.Write(setMeta("a")))
			lose(t, gate, func() { leaseOf(t, database, "another boot", os.Getpid(), time.Hour) })
			if err := d.Write(setMeta("b")); !errors.Is(err, ErrSuperseded) {
				t.Errorf("it returns %v, want ErrSuperseded", err)
			}
			if err := d.Write(setMeta("c")); !errors.Is(err, ErrSuperseded) {
				t.Errorf("the next one returns %v, want ErrSuperseded", err)
			}
			if n := askAside[int64](t, database, "SELECT count(*) FROM meta WHERE key IN ('b', 'c')"); n != 0 {
				t.Errorf("%d rows were written", n)
			}
			select {
			case <-d.Ended():
			default:
				t.Error("nobody is told that it is over")
			}
			if !errors.Is(d.EndedBy(), ErrSuperseded) {
				t.Errorf("it ended by %v", d.EndedBy())
			}
		})
	}
}

// The lease is what a daemon that has nothing to write finds it by.
func TestADaemonThatWasReplacedKnowsItWithoutAWrite(t *testing.T) {
	database := newDatabase(t)
	d := daemonAt(t, database)
	leaseOf(t, database, "another boot", os.Getpid(), time.Hour)
	d.engine.(*postgres).renewedAt = time.Time{}
	if _, err := d.OthersWrote(t.Context()); !errors.Is(err, ErrSuperseded) || !errors.Is(d.EndedBy(), ErrSuperseded) {
		t.Errorf("it returns %v, and ended by %v", err, d.EndedBy())
	}
}

// A server that has lost commits is another one: nothing more is written to it.
func TestAServerThatLostCommitsEndsTheDaemon(t *testing.T) {
	database := newDatabase(t)
	gate, address := gated(t, database)
	d := daemonAt(t, address)
	for _, key := range []string{"a", "b", "c"} {
		mustDo(t, d.Write(setMeta(key)))
	}
	strike := nth(1, "COMMIT", pgtest.CutBefore)
	gate.Strike(func(statement string) pgtest.Fault {
		if strings.HasPrefix(statement, "SELECT commits FROM daemons") {
			gate.Strike(nil)
			aside(t, database, "UPDATE daemons SET commits = commits - 2")
		}
		return strike(statement)
	})
	if err := d.Write(setMeta("d")); !errors.Is(err, ErrWentBack) || !errors.Is(d.EndedBy(), ErrWentBack) {
		t.Errorf("it returns %v, and ended by %v, want ErrWentBack", err, d.EndedBy())
	}
}

// A daemon that ends has given up asking whether its last commit is there, and finds that it is.
func TestACommitThatNobodyAskedAboutAnyMoreIsNoLoss(t *testing.T) {
	database := newDatabase(t)
	first, second := twoDaemons(t, database)
	mustDo(t, first.Write(setMeta("a")))
	first.engine.(*postgres).commits.Add(-1)
	if err := first.Write(setMeta("b")); !errors.Is(err, errEndUnknown) || first.EndedBy() != nil {
		t.Errorf("it returns %v, and ended by %v, want errEndUnknown and nothing", err, first.EndedBy())
	}
	mustDo(t, second.Write(setMeta("c")))
}

// Another daemon may have lost nothing that it knows of, and would text what the first has
// texted. It begins anew, too.
func TestAServerThatLostCommitsOfOneDaemonEndsTheOthers(t *testing.T) {
	database := newDatabase(t)
	first, second := twoDaemons(t, database)
	for i, d := range []*DB{first, second} {
		mustDo(t, d.Write(setMeta(fmt.Sprint("a", i))))
		mustDo(t, d.Compared(t.Context(), "sender"))
	}
	aside(t, database, "UPDATE daemons SET commits = commits - 1 WHERE since = (SELECT min(since) FROM daemons)")
	if _, err := first.OthersWrote(t.Context()); !errors.Is(err, ErrWentBack) {
		t.Errorf("the first finds %v, want ErrWentBack", err)
	}
	if err := second.Write(setMeta("b")); !errors.Is(err, ErrDisplaced) {
		t.Errorf("the second writes: %v, want ErrDisplaced", err)
	}
	for _, m := range must(second.Members(t.Context())) {
		if m.Compared != "" || m.Decides {
			t.Errorf("after it there is %+v", m)
		}
	}
}

func TestTwoDaemonsThatStartOnAnEmptyDatabaseMakeOneSchema(t *testing.T) {
	theServer(t)
	database := pgtest.Database(t, nil)
	type opened struct {
		d   *DB
		err error
	}
	both := make(chan opened, 2)
	for range cap(both) {
		go func() {
			d, err := OpenDaemon(t.Context(), database, serverSchema)
			both <- opened{d, err}
		}()
	}
	for i := range cap(both) {
		o := <-both
		if o.err != nil {
			t.Fatal(o.err)
		}
		closedAtEnd(t, o.d)
		if !mayDecide(t, o.d, "a", "live") {
			t.Error("one of them must wait")
		}
		mustDo(t, o.d.Write(setMeta(fmt.Sprint("a", i))))
	}
	if n := askAside[int64](t, database, "SELECT count(*) FROM write_lock"); n != 1 {
		t.Errorf("%d rows in write_lock", n)
	}
}

// opens are the ways to open a store.
func opens(t *testing.T, address string, check func(who string, err error)) {
	t.Helper()
	for who, open := range map[string]func() (*DB, error){
		"the daemon":                 func() (*DB, error) { return OpenDaemon(t.Context(), address, serverSchema) },
		"a command that only reads":  func() (*DB, error) { return OpenReader(t.Context(), address, serverSchema) },
		"a command that also writes": func() (*DB, error) { return OpenWriter(t.Context(), address, serverSchema) },
	} {
		d, err := open()
		if err == nil {
			mustDo(t, d.Close())
		}
		check(who, err)
	}
}

func refused(t *testing.T, address, says string) {
	t.Helper()
	opens(t, address, func(who string, err error) {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", who, err, says)
		}
	})
}

func TestADatabaseOfAnotherProgramIsLeftAlone(t *testing.T) {
	theServer(t)
	database := pgtest.Database(t, nil)
	aside(t, database, "CREATE TABLE bills (id INTEGER); CREATE TABLE invoices (id INTEGER)")
	refused(t, database, "holds tables that are not duewatch's")
	if n := askAside[int64](t, database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 2 {
		t.Errorf("it has %d tables now", n)
	}
}

func TestAnEmptyDatabaseIsMadeByTheDaemonAlone(t *testing.T) {
	theServer(t)
	database := pgtest.Database(t, nil)
	for _, open := range []func() (*DB, error){
		func() (*DB, error) { return OpenReader(t.Context(), database, serverSchema) },
		func() (*DB, error) { return OpenWriter(t.Context(), database, serverSchema) },
	} {
		if _, err := open(); !errors.Is(err, ErrNotFound) {
			t.Errorf("error %v, want ErrNotFound", err)
		}
	}
	daemonAt(t, database)
}

func TestADatabaseThatMayOnlyBeReadIsNamed(t *testing.T) {
	database := newDatabase(t)
	name := askAside[string](t, database, "SELECT current_database()")
	aside(t, database, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	opens(t, database, func(who string, err error) {
		const says = "the role or the database may only read (default_transaction_read_only)"
		switch {
		case strings.HasSuffix(who, "only reads"):
			if err != nil {
				t.Errorf("%s: %v", who, err)
			}
		case err == nil || !strings.Contains(err.Error(), says):
			t.Errorf("%s: error %v, want %q", who, err, says)
		}
	})
}

func TestServersThatTheStoreCannotBeOnAreNamed(t *testing.T) {
	good := serverFacts{version: 150_004, schema: "public", mayCreate: true}
	for _, tt := range []struct {
		name   string
		change func(*serverFacts)
		writes bool
		says   string // "" = it is good
	}{
		{"a server of today", func(*serverFacts) {}, true, ""},
		{"the oldest", func(f *serverFacts) { f.version = 140_000 }, true, ""},
		{"one that is too old", func(f *serverFacts) { f.version = 130_014 }, false, "PostgreSQL 13.14: duewatch needs 14 or later"},
		{"a standby, to be written", func(f *serverFacts) { f.recovering = true }, true, "is a standby, which cannot be written: name the primary"},
		{"a standby, to be read", func(f *serverFacts) { f.recovering, f.readOnly = true, true }, false, ""},
		{"a role that only reads", func(f *serverFacts) { f.readOnly = true }, true, "may only read"},
		{"a role without a schema", func(f *serverFacts) { f.schema = "" }, false, "GRANT USAGE, CREATE ON SCHEMA public"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := good
			tt.change(&f)
			err := f.check(tt.writes)
			if (err == nil) != (tt.says == "") || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
		})
	}
}

// limited is the address of a database for a role that is no administrator.
func limited(t *testing.T, database string) string {
	t.Helper()
	aside(t, database, `DO $$BEGIN CREATE ROLE limited LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END$$`)
	return strings.Replace(database, "://duewatch@", "://limited@", 1)
}

func TestARoleWithoutRightsIsToldWhatItNeeds(t *testing.T) {
	refused(t, limited(t, newDatabase(t)), "GRANT")
	theServer(t)
	empty := pgtest.Database(t, nil)
	if _, err := OpenDaemon(t.Context(), limited(t, empty), serverSchema); err == nil || !strings.Contains(err.Error(), "GRANT") {
		t.Errorf("on an empty database: %v", err)
	}
	if n := askAside[int64](t, empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables were made", n)
	}
}

func TestAServerWithoutAConnectionLeftIsNamed(t *testing.T) {
	database := newDatabase(t)
	name := askAside[string](t, database, "SELECT current_database()")
	aside(t, database, "ALTER DATABASE "+name+" CONNECTION LIMIT 0") // an administrator gets in all the same
	_, err := OpenReader(t.Context(), limited(t, database), serverSchema)
	if err == nil || !strings.Contains(err.Error(), "no connection left: raise max_connections") {
		t.Errorf("error %v", err)
	}
}

func TestAWrongAddressIsNamedWithoutItsPassword(t *testing.T) {
	server := theServer(t)
	const password = "s3cr3t"
	for name, address := range map[string]string{
		"no such database":        fmt.Sprintf("postgres://duewatch:%s@127.0.0.1:%d/absent?sslmode=disable", password, server.Port),
		"no such role":            fmt.Sprintf("postgres://absent:%s@127.0.0.1:%d/postgres?sslmode=disable", password, server.Port),
		"no server":               "postgres://duewatch:" + password + "@127.0.0.1:1/duewatch?sslmode=disable&connect_timeout=1",
		"no such host":            "postgres://duewatch:" + password + "@absent.invalid/duewatch",
		"no number for a port":    "postgres://duewatch:" + password + "@127.0.0.1:port/duewatch",
		"no such mode of TLS":     "postgres://duewatch:" + password + "@127.0.0.1/duewatch?sslmode=perhaps",
		"no server with TLS":      fmt.Sprintf("postgres://duewatch:%s@127.0.0.1:%d/postgres?sslmode=require", password, server.Port),
		"a password as a setting": fmt.Sprintf("postgres://duewatch@127.0.0.1:%d/absent?sslmode=disable&password=%s", server.Port, password),
		"a sign that must not be": "postgres://duewatch:" + password + "%zz@127.0.0.1/duewatch",
		"a space":                 "postgres://duewatch:" + password + "@127.0.0.1 /duewatch",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenReader(t.Context(), address, serverSchema)
			if err == nil {
				t.Fatal("it was opened")
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error shows the password: %v", err)
			}
			if strings.Contains(Redacted(address), password) {
				t.Errorf("the redacted address shows the password: %s", Redacted(address))
			}
		})
	}
}

// A pooler in transaction mode gives each transaction a connection of its own choice.
func TestAPoolerInTransactionModeMayStandBetween(t *testing.T) {
	database := newDatabase(t)
	for _, tt := range []struct {
		name     string
		prepared int
		address  string
		refuses  bool
	}{
		{"one that keeps no prepared statements", 0, "", true},
		{"the same, and the address says so", 0, "&default_query_exec_mode=exec", false},
		{"one that keeps prepared statements", 200, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, err := pgtest.Pooler(t, database, tt.prepared)
			if errors.Is(err, pgtest.ErrNoPooler) || errors.Is(err, pgtest.ErrOldPooler) {
				t.Skip(err)
			}
			mustDo(t, err)
			err = workThrough(t, address+tt.address)
			switch {
			case !tt.refuses && err != nil:
				t.Error(err)
			case tt.refuses && (err == nil || !strings.Contains(err.Error(), "add default_query_exec_mode=exec to the address")):
				t.Errorf("error %v", err)
			}
		})
	}
}

// workThrough writes and reads on several connections at once.
func workThrough(t *testing.T, address string) error {
	t.Helper()
	d, err := OpenDaemon(t.Context(), address, serverSchema)
	if err != nil {
		return err
	}
	errs := make(chan error, 8)
	for w := range cap(errs) {
		go func() {
			for i := range 20 {
				key := fmt.Sprint(w, " ", i)
				var n int
				if err := errors.Join(d.Write(set(key, "v")), d.Reader(t.Context()).Row("SELECT count(*) FROM meta WHERE key = ?1", key).Scan(&n)); err != nil || n != 1 {
					errs <- fmt.Errorf("%s: %d rows, %w", key, n, err)
					return
				}
			}
			errs <- nil
		}()
	}
	var all error
	for range cap(errs) {
		all = errors.Join(all, <-errs)
	}
	return errors.Join(all, d.Close())
}

func TestWhoWorksAndWhoLeads(t *testing.T) {
	can, waits, dead := Member{Decides: true, Lives: true}, Member{Lives: true}, Member{Decides: true}
	aside, cutOff := can, can
	aside.Aside, cutOff.Aside = string(reminder.ClockUnsure), string(reminder.ProviderUnreachable)
	for _, tt := range []struct {
		name         string
		all          []Member
		works, leads []int
	}{
		{"one", []Member{can}, []int{0}, []int{0}},
		{"those that are there longest first", []Member{can, can}, []int{0, 1}, []int{0}},
		{"one that waits, and one that is dead", []Member{waits, dead, can}, []int{2}, []int{2}},
		{"one aside", []Member{aside, can, can}, []int{1, 2}, []int{1}},
		{"all aside", []Member{aside, aside}, []int{0, 1}, []int{0}},
		{"all aside, of whom one goes on by itself", []Member{aside, cutOff}, []int{1}, []int{1}},
		{"all cut off", []Member{cutOff, cutOff}, []int{0, 1}, []int{0}},
		{"all aside that work", []Member{waits, dead, aside}, []int{2}, []int{2}},
	} {
		shareWork(tt.all)
		var works, leads []int
		for i, m := range tt.all {
			if m.Works {
				works = append(works, i)
			}
			if m.Leads {
				leads = append(leads, i)
			}
		}
		if !slices.Equal(works, tt.works) || !slices.Equal(leads, tt.leads) {
			t.Errorf("%s: %d work and %d leads, want %d and %d", tt.name, works, leads, tt.works, tt.leads)
		}
	}
}
