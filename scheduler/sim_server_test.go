package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/store"
	"duewatch/store/db/pgtest"
)

// simServer is the PostgreSQL server of a run, and the way to it. It is made outside the
// bubble, whose time must not wait for a network.
type simServer struct {
	t       *testing.T // outside the bubble
	gate    *pgtest.Gate
	address string // of the run's first database, through the gate

	mu     sync.Mutex
	faults float64              // the probability of one at a COMMIT
	met    map[pgtest.Fault]int // in this wake
}

// newSimServers are the ways of the daemons to their server; that of the only one is nil where
// the tests are run on SQLite.
func newSimServers(t *testing.T, daemons int) (all []*simServer) {
	t.Helper()
	if !pgtest.Wanted() {
		return []*simServer{nil}
	}
	server, err := pgtest.Shared()
	if err != nil {
		t.Fatal(err)
	}
	database := pgtest.Database(t, prepareStore)
	for range daemons {
		s := &simServer{t: t, met: map[pgtest.Fault]int{}}
		if s.gate, err = server.NewSocketGate(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.gate.Close(); err != nil {
				t.Error(err)
			}
		})
		s.address = s.gate.Via(database)
		all = append(all, s)
	}
	return all
}

// direct is an address past the gate.
func (*simServer) direct(address string) string {
	server, err := pgtest.Shared()
	if err != nil {
		panic(err) // it was there a moment ago
	}
	u, err := url.Parse(address)
	if err != nil {
		panic(err) // it is the gate's
	}
	return server.URL(strings.TrimPrefix(u.Path, "/"))
}

// open opens the store for the next process. It knows of the last one that it is dead: here
// both have the number of the tests' process. What starts while the server is away fails, and
// is started again, as systemd does.
func (s *sim) openOnServer(ctx context.Context) (db *store.Store) {
	s.must(pgtest.Exec(ctx, s.server.direct(s.path), "DELETE FROM daemons WHERE owner = '"+s.owner+"'"))
	s.untilThere(func() (err error) {
		db, err = store.Open(ctx, s.path)
		return err
	})
	return db
}

// untilThere tries again while the server is away.
func (s *sim) untilThere(try func() error) {
	err := try()
	for tries := 0; err != nil && s.server != nil && tries < 30; tries++ {
		s.met["opened while the database was away"]++
		<-time.After(time.Minute)
		err = try()
	}
	s.must(err)
}

// drawServer is what goes wrong with the server: at single statements, and as a whole.
func (s *sim) drawServer() {
	if s.server == nil {
		return
	}
	dice := s.dice("server")
	faults := pick(dice, 0, 0.005, 0.02, 0.05)
	for _, d := range s.daemons {
		d.server.faults = faults
	}
	anytime := func() time.Time {
		return s.begin.Add(time.Duration(dice.Int64N(int64(s.end.Sub(s.begin))))).Truncate(time.Minute)
	}
	for range dice.IntN(4) {
		long := time.Duration(1+dice.IntN(15*60)) * time.Second
		s.at(anytime(), fmt.Sprintf("the database is away for %s", long), func() {
			s.met["database away"]++
			s.noteFault(s.trueNow().Add(-time.Minute), s.trueNow().Add(long+2*time.Hour), "database")
			for _, d := range s.daemons {
				d.server.gate.Shut()
				time.AfterFunc(long, d.server.gate.Open)
			}
		})
	}
}

// strike has faults befall the statements of a wake; s is nil on SQLite.
func (s *simServer) strike(run *sim, d *simDaemon) {
	if s == nil || s.faults == 0 || run.calm.Load() || run.silentTries >= simTries {
		return
	}
	wake, n := run.wakes, d.n*1_000_000
	s.gate.Strike(func(statement string) pgtest.Fault {
		s.mu.Lock()
		defer s.mu.Unlock()
		n++
		dice := run.dice(fmt.Sprint("statement ", wake, " ", n))
		f := s.befalls(statement, dice)
		if f != pgtest.None {
			s.met[f]++
		}
		return f
	})
}

func (s *simServer) befalls(statement string, dice *rand.Rand) pgtest.Fault {
	switch {
	case statement == "COMMIT":
		if dice.Float64() < s.faults {
			return pick(dice, pgtest.CutBefore, pgtest.CutAfter, pgtest.CutAfter, pgtest.Warned, pgtest.Terminate, pgtest.Cancel)
		}
	case dice.Float64() < s.faults/10:
		return pick(dice, pgtest.CutBefore, pgtest.CutAfter, pgtest.Terminate, pgtest.Cancel)
	}
	return pgtest.None
}

// spare ends strike, and notes what was met.
func (s *simServer) spare(run *sim) {
	if s == nil {
		return
	}
	s.gate.Strike(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	for f, n := range s.met {
		run.met[simServerFaults[f]] += n
		run.noteFault(run.trueNow().Add(-time.Hour), run.trueNow().Add(2*time.Hour), simServerFaults[f])
	}
	clear(s.met)
}

// simServerFaults are the faults, by the words that they are counted under.
var simServerFaults = map[pgtest.Fault]string{
	pgtest.CutBefore: "statement cut off, and not done", pgtest.CutAfter: "statement done, and its answer lost",
	pgtest.Warned: "commit with a warning", pgtest.Terminate: "connection ended by the server", pgtest.Cancel: "statement cancelled",
}
