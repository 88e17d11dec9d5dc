package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"duewatch/store/db/pgtest"
)

// pair are a server and a standby of it, with an empty database.
type pair struct {
	primary, standby *pgtest.Server
	link             *pgtest.Gate // the way on which the standby follows
	address          string       // with both hosts
}

// newPair makes two servers; synchronous = each commit waits for the standby.
func newPair(t testing.TB, synchronous bool) *pair {
	t.Helper()
	p := &pair{}
	var err error
	p.primary, err = pgtest.New()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	mustDo(t, err)
	t.Cleanup(func() { mustDo(t, p.primary.Close()) })
	must(p.primary.Create(t.Context(), "duewatch", ""))
	p.link = must(p.primary.NewGate())
	t.Cleanup(func() { mustDo(t, p.link.Close()) })
	p.standby = must(p.primary.NewStandby(p.link))
	t.Cleanup(func() { mustDo(t, p.standby.Close()) })
	if synchronous {
		mustDo(t, p.primary.WaitForStandby(t.Context(), true))
	}
	p.address = pgtest.OneOf("duewatch", p.primary.Host(), p.standby.Host())
	return p
}

// failOver has the standby take the place of the primary, which is killed.
func (p *pair) failOver(t testing.TB) {
	t.Helper()
	mustDo(t, p.primary.Kill(syscall.SIGKILL))
	mustDo(t, p.standby.Promote(t.Context()))
}

// opened is a daemon on whichever of the two can be written. It renews its lease, as daemons do.
func (p *pair) opened(t testing.TB) *DB {
	t.Helper()
	d := daemonAt(t, p.address)
	must(d.OthersWrote(t.Context()))
	mustDo(t, d.Compared(t.Context(), "sender"))
	return d
}

// two are two daemons that work.
func (p *pair) two(t testing.TB) (first, second *DB) {
	t.Helper()
	first, second = p.opened(t), p.opened(t)
	for _, d := range []*DB{first, second} {
		if !mayDecide(t, d, "config", "live") {
			t.Fatal("it waits")
		}
		mustDo(t, d.Write(setMeta(d.Owner())))
	}
	return first, second
}

func wentBack(t testing.TB, database string) (w WentBack) {
	t.Helper()
	mustDo(t, json.Unmarshal([]byte(askAside[string](t, database, "SELECT coalesce(max(value), '{}') FROM meta WHERE key = '"+FactWentBack+"'")), &w))
	return w
}

func TestDaemonsGoOnOnAStandbyThatHasAllCommits(t *testing.T) {
	t.Parallel()
	for _, synchronous := range []bool{true, false} {
		t.Run(fmt.Sprint("synchronous ", synchronous), func(t *testing.T) {
			p := newPair(t, synchronous)
			first, second := p.two(t)
			mustDo(t, p.primary.AwaitStandby(t.Context()))
			p.failOver(t)
			promoted := time.Now()
			wrote := make(chan error, 2)
			for _, d := range []*DB{first, second} {
				go func() { wrote <- d.Write(setMeta("after " + d.Owner())) }()
			}
			mustDo(t, errors.Join(<-wrote, <-wrote))
			if took := time.Since(promoted); took > 20*time.Second {
				t.Errorf("they write %s after the promotion", took)
			}
			if by := errors.Join(first.EndedBy(), second.EndedBy()); by != nil {
				t.Error(by)
			}
			if w := wentBack(t, p.standby.URL("duewatch")); w != (WentBack{}) {
				t.Errorf("they say that commits were lost: %+v", w)
			}
		})
	}
}

// Of two daemons, the one whose commits are there must not text what the other has texted.
func TestAStandbyThatLacksCommitsEndsAllDaemons(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	first, second := p.two(t)
	mustDo(t, p.primary.AwaitStandby(t.Context()))
	p.link.Shut()
	for i := range 3 {
		mustDo(t, first.Write(setMeta(fmt.Sprint("lost", i))))
	}
	p.failOver(t)
	wrote := make(chan error, 2)
	for _, d := range []*DB{second, first} {
		go func() { wrote <- d.Write(setMeta("after")) }()
	}
	for range 2 {
		if err := <-wrote; !errors.Is(err, ErrWentBack) && !errors.Is(err, ErrDisplaced) {
			t.Errorf("a write returns %v", err)
		}
	}
	if !errors.Is(first.EndedBy(), ErrWentBack) || second.EndedBy() == nil {
		t.Errorf("they ended by %v and %v", first.EndedBy(), second.EndedBy())
	}
	database := p.standby.URL("duewatch")
	if w := wentBack(t, database); w.Commits != 3 || time.Since(time.UnixMilli(w.AtMS)).Abs() > time.Minute {
		t.Errorf("it is written down as %+v, want 3 commits", w)
	}
	for _, m := range must(first.Members(t.Context())) {
		if m.Compared != "" || m.Decides {
			t.Errorf("after it there is %+v", m)
		}
	}
	if n := rowsOf(t, database, "after"); n != 0 {
		t.Error("one of them has written")
	}
}

// What a daemon had committed that died together with the server, the others cannot know. Where
// commits waited for a standby, none is missing.
func TestADaemonThatDiedWithTheServerIsWaitedForAndThenTakenAsALoss(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the end of a lease")
	}
	for _, synchronous := range []bool{true, false} {
		t.Run(fmt.Sprint("synchronous ", synchronous), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, synchronous)
			d := p.opened(t)
			aside(t, p.primary.URL("duewatch"), `INSERT INTO daemons (owner, host, place, pid, version, config, mode, decides, compared, since, seen_at, until_at, commits)
				SELECT 'another', host, 'another boot', pid, version, config, mode, 1, compared, since, seen_at, until_at, 7 FROM daemons`)
			mustDo(t, p.primary.AwaitStandby(t.Context()))
			p.failOver(t)
			promoted := time.Now()
			err := d.Write(setMeta("after"))
			if synchronous {
				mustDo(t, err)
			} else if !errors.Is(err, ErrWentBack) {
				t.Errorf("it returns %v", err)
			}
			if took := time.Since(promoted); took < leaseFor/4 || took > 2*leaseFor {
				t.Errorf("it knows after %s", took)
			}
			if w := wentBack(t, p.standby.URL("duewatch")); (w != WentBack{}) == synchronous || w.Commits != 0 {
				t.Errorf("it is written down as %+v", w)
			}
		})
	}
}

// With no daemon left that lived through it, nobody can say what a standby lacks.
func TestAServerOnAnotherTimelineIsALossWhereNoDaemonLived(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	d := must(OpenDaemon(t.Context(), p.address, serverSchema))
	mustDo(t, d.Write(setMeta("a")))
	mustDo(t, d.Close())
	p.failOver(t)
	again := p.opened(t)
	if w := wentBack(t, p.standby.URL("duewatch")); w.AtMS == 0 || w.Commits != 0 {
		t.Errorf("it is written down as %+v", w)
	}
	if !mayDecide(t, again, "config", "live") {
		t.Error("it waits")
	}
	mustDo(t, again.Write(setMeta("b")))
	if by := again.EndedBy(); by != nil {
		t.Errorf("it ends: %v", by)
	}
	at := wentBack(t, p.standby.URL("duewatch"))
	third := p.opened(t)
	if w := wentBack(t, p.standby.URL("duewatch")); w != at {
		t.Errorf("a daemon that comes to it finds another loss: %+v", w)
	}
	if !mayDecide(t, third, "config", "live") {
		t.Error("it waits")
	}
	mustDo(t, third.Write(setMeta("c")))
}

// A primary that comes back after another one was promoted can be written, and stands first in
// the address.
func TestAFormerPrimaryIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	d := p.opened(t)
	p.failOver(t)
	mustDo(t, d.Write(setMeta("after")))
	mustDo(t, p.primary.Restart())
	mustDo(t, p.primary.WaitForStandby(t.Context(), false)) // nothing keeps its commits from being confirmed
	aside(t, p.standby.URL("duewatch"), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'duewatch'")
	mustDo(t, d.Write(setMeta("later")))
	other := must(OpenDaemon(t.Context(), p.address, serverSchema))
	defer func() { mustDo(t, other.Close()) }()
	if !mayDecide(t, other, "", "") {
		t.Error("it waits")
	}
	mustDo(t, other.Write(setMeta("of another daemon")))
	command := closedAtEnd(t, must(OpenWriter(t.Context(), p.address, serverSchema)))
	mustDo(t, command.Write(setMeta("of a command")))
	for _, key := range []string{"later", "of another daemon", "of a command"} {
		if here, there := rowsOf(t, p.standby.URL("duewatch"), key), rowsOf(t, p.primary.URL("duewatch"), key); here != 1 || there != 0 {
			t.Errorf("%q: %d times on the server that was promoted, and %d times on the former one", key, here, there)
		}
	}
}
