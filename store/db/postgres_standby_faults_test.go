package db

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"duewatch/store/db/pgtest"
)

// waiting is how many transactions wait for the standby.
func (p *pair) waiting(t testing.TB) int64 {
	t.Helper()
	return askAside[int64](t, p.primary.URL("duewatch"), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
}

// A COMMIT waits for the standby. When that wait is cancelled the server says that it is committed,
// with a warning, and everybody can read it: yet a standby that takes over would lack it. So who
// has written is told nothing before the standby has it, however long it is behind or cut off.
func TestAWriteIsNotBelievedBeforeTheStandbyHasIt(t *testing.T) {
	t.Parallel()
	for name, meddle := range map[string]string{
		"nobody meddles":               "SELECT 1",
		"the wait is cancelled":        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
		"the connection is terminated": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, true)
			d := p.opened(t)
			mustDo(t, d.Write(setMeta("before")))
			p.link.Shut()
			done := make(chan error, 1)
			go func() { done <- d.Write(setMeta("a")) }()
			for p.waiting(t) == 0 {
				runtime.Gosched()
			}
			aside(t, p.primary.URL("postgres"), "SET synchronous_commit = local; "+meddle)
			select {
			case err := <-done:
				t.Errorf("the standby does not have it, and the write returns %v", err)
			case <-time.After(time.Second):
			}
			p.link.Open()
			mustDo(t, <-done)
			for _, server := range []string{p.primary.URL("duewatch"), p.standby.URL("duewatch")} {
				mustDo(t, p.primary.AwaitStandby(t.Context()))
				if n := rowsOf(t, server, "a"); n != 1 {
					t.Errorf("%d rows, want 1", n)
				}
			}
			mustDo(t, d.Write(setMeta("after")))
		})
	}
}

// A COMMIT was cancelled in its wait, and the primary is lost before the standby has it: it was
// said to nobody that it is written, and it is not.
func TestACancelledCommitThatTheStandbyLacksIsUndone(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	d := p.opened(t)
	mustDo(t, d.Write(setMeta("before")))
	p.link.Shut()
	runs, done := 0, make(chan error, 1)
	go func() { done <- d.Write(func(x *Tx) error { runs++; return setMeta("a")(x) }) }()
	for p.waiting(t) == 0 {
		runtime.Gosched()
	}
	aside(t, p.primary.URL("postgres"), "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	for rowsOf(t, p.primary.URL("duewatch"), "a") == 0 { // anybody can read it there
		runtime.Gosched()
	}
	p.failOver(t)
	err := <-done
	if n := rowsOf(t, p.standby.URL("duewatch"), "a"); (n == 1) != (err == nil) || runs != 2 {
		t.Errorf("it was run %d times and returns %v, and %d rows are there", runs, err, n)
	}
	if w := wentBack(t, p.standby.URL("duewatch")); w != (WentBack{}) {
		t.Errorf("it is said that commits were lost: %+v", w)
	}
}

// A standby that is far behind holds up the writes that wait for it, and no other: they are made
// once, and in their order.
func TestAStandbyThatFallsBehindHoldsUpWritesAndLosesNone(t *testing.T) {
	t.Parallel()
	p := newPair(t, true)
	d := p.opened(t)
	p.link.Shut()
	done := make(chan error, 20)
	for i := range cap(done) {
		go func() { done <- d.Write(setMeta(fmt.Sprint("key ", i))) }()
	}
	for p.waiting(t) == 0 {
		runtime.Gosched()
	}
	if n := number(t, d, "SELECT count(*) FROM meta WHERE key LIKE 'key %'"); n != 0 {
		t.Errorf("%d rows can be read that the standby does not have", n)
	}
	p.link.Open()
	for range cap(done) {
		mustDo(t, <-done)
	}
	if n := askAside[int64](t, p.primary.URL("duewatch"), "SELECT count(*) FROM meta WHERE key LIKE 'key %'"); n != int64(cap(done)) {
		t.Errorf("%d rows are there, want %d", n, cap(done))
	}
}

// The network swallows everything in both directions, for so long that the kernel gives the
// connection up and the server ends the transaction: what was under way is made once.
func TestANetworkThatIsCutInBothDirectionsLosesNothing(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]string{"at a statement": "INSERT", "at the COMMIT": "COMMIT"} {
		t.Run(name, func(t *testing.T) {
			database := newDatabase(t)
			gate, address := gated(t, database)
			d := daemonAt(t, address)
			mustDo(t, d.Write(setMeta("first")))
			swallowed := make(chan struct{})
			strike := nth(1, cut, pgtest.CutAfter) // the statement arrives, and its answer does not
			gate.Strike(func(statement string) pgtest.Fault {
				if strike(statement) == pgtest.None {
					return pgtest.None
				}
				gate.Strike(nil)
				gate.Swallow(true)
				close(swallowed)
				return pgtest.None
			})
			done := make(chan error, 1)
			go func() { done <- d.Write(setMeta("a")) }()
			<-swallowed
			select {
			case err := <-done:
				t.Errorf("nobody could know, and it returned %v", err)
			case <-time.After(12 * time.Second): // the server ends an idle transaction after ten
			}
			gate.Cut() // as the kernel does (endUnanswered)
			gate.Swallow(false)
			mustDo(t, <-done)
			if n := rowsOf(t, database, "a"); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
		})
	}
}
