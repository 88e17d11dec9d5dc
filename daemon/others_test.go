package daemon

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store"
	"duewatch/store/db/pgtest"
)

// newDatabase is an empty database on a server of the test's own.
func newDatabase(t *testing.T) string {
	t.Helper()
	server, err := pgtest.New(pgtest.Throwaway...)
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	address, err := server.Create(t.Context(), "duewatch", "")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// workingByAnother is the store of a daemon that works by another config. The test closes it.
func workingByAnother(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if may, err := s.Decide(t.Context(), "0.1.0", "another config", reminder.ModeLive, true); err != nil || !may {
		t.Fatalf("the first daemon may work: %v, %v", may, err)
	}
	return s
}

// A daemon that waits says so by alerts of its own: when that begins, hourly at most, and when it
// ends. Of what the leader has told it says nothing, and it writes nothing.
func TestADaemonThatWaitsTellsTheOperatorByItself(t *testing.T) {
	address := newDatabase(t)
	leader := workingByAnother(t, address)
	const told = `{"another destination":{"problems":{"store":{"text":"the store is full","since":"2026-11-29T01:00:00Z"}},"digest":""}}`
	if err := leader.SetMeta(metaAlerts, told); err != nil {
		t.Fatal(err)
	}

	w := newWatched(t, address)
	waits := func(minutes int) []string {
		t.Helper()
		for range minutes {
			if may, err := w.d.mayWork(t.Context(), w.cfg); err != nil || may {
				t.Fatalf("it may work: %v, %v", may, err)
			}
			w.now = w.now.Add(time.Minute)
			w.d.tellWaiting(t.Context(), w.cfg, []Problem{w.d.whyItWaits(t.Context())}, w.d.alerts.logger())
		}
		messages, _ := w.taken()
		return messages
	}
	begin := waits(3)
	if len(begin) != 1 {
		t.Fatalf("when it begins to wait: %q", begin)
	}
	for _, part := range []string{" on ", ": 1 new problem\nNEW, since ", "this daemon waits, and texts nobody: its config differs", "mode live"} {
		if !strings.Contains(begin[0], part) {
			t.Errorf("%q is not in %q", part, begin[0])
		}
	}
	if between := waits(6 * 60); len(between) == 0 || len(between) > 6 || !strings.Contains(between[0], "STILL, since") {
		t.Errorf("in six hours: %q", between)
	}
	if err := leader.Close(); err != nil {
		t.Fatal(err)
	}
	if may, err := w.d.mayWork(t.Context(), w.cfg); err != nil || !may {
		t.Fatalf("it may work once the other has ended: %v, %v", may, err)
	}
	end, _ := w.pass(3)
	if len(end) != 1 || !strings.Contains(end[0], ": 1 problem over\nOVER, from ") {
		t.Errorf("when it works: %q", end)
	}
}

// afterItsWait is a daemon that has waited for another, while its bills_file became another one.
func afterItsWait(t *testing.T, later string) *watched {
	t.Helper()
	address := newDatabase(t)
	leader := workingByAnother(t, address)
	w := newWatched(t, address)
	w.d.LogTo = io.Discard
	w.cfg.BillsFile, w.cfg.Web.Listen = filepath.Join(t.TempDir(), "bills.csv"), "127.0.0.1:0"
	w.must(os.WriteFile(w.cfg.BillsFile, []byte("service,account,phone\n1042,A-1,+254710000001\n"), 0o600))
	var err error
	w.d.billsFile, err = w.d.readBillsFile(t.Context(), w.cfg, w.d.alerts.logger())
	w.must(err)
	w.must(os.WriteFile(w.cfg.BillsFile, []byte(later), 0o600))
	time.AfterFunc(2*askAgain, func() { _ = leader.Close() })
	if cfg, err := w.d.awaitOthers(t.Context(), w.cfg, nil); err != nil || cfg != w.cfg {
		t.Fatalf("it goes on with %v, %v", cfg, err)
	}
	t.Cleanup(func() { w.must(w.d.billsFile.Close()) })
	return w
}

// The others may have taken a newer list while a daemon waited: the one that it read before is not
// to be declared.
func TestADaemonThatWaitedReadsItsListAnew(t *testing.T) {
	w := afterItsWait(t, "service,account,phone\n1042,A-1,+254710000001\n1042,A-2,+254710000002\n")
	if n := w.d.billsFile.Rows; n != 2 {
		t.Errorf("its list has %d rows, want those of the newer one", n)
	}
}

// All daemons have the same list: if its fault ended the one that leads next, it would end one after
// the other, and nobody would be texted.
func TestAFaultInTheListDoesNotEndADaemonThatIsToLead(t *testing.T) {
	w := afterItsWait(t, "service,account,phone\n1042,A-1,a phone\n")
	w.must(w.d.declareBills(t.Context(), w.cfg, w.d.alerts.logger()))
	refused := func() string {
		t.Helper()
		return strings.Join(Sentences(w.d.health(t.Context(), w.s).problems), "\n")
	}
	if !strings.Contains(refused(), "bills.csv:2: phone") {
		t.Errorf("its health says nothing of the row: %s", refused())
	}
	w.d.refusedReload.Store(new("config.yaml:1: a fault"))
	w.must(os.WriteFile(w.cfg.BillsFile, []byte("service,account,phone\n1042,A-1,+254710000001\n"), 0o600))
	_, err := w.d.withListsAnew(t.Context(), w.cfg, w.d.alerts.logger())
	w.must(err)
	if strings.Contains(refused(), "bills.csv") {
		t.Errorf("it was mended by the time at which the daemon came to lead again: %s", refused())
	}
	if !strings.Contains(refused(), "config.yaml:1: a fault") {
		t.Errorf("a reload that was refused is forgotten, since the list has no fault: %s", refused())
	}
}

// To read a list may take longer than a lease.
func TestTheOthersHearOfADaemonThatReadsALongList(t *testing.T) {
	w := newWatched(t, newDatabase(t))
	heard := func() time.Time {
		members, err := w.d.store.Members(t.Context())
		if w.must(err); len(members) != 1 {
			t.Fatalf("%d daemons", len(members))
		}
		return members[0].SeenAt
	}
	report, before := w.d.newReporter(t.Context(), w.d.alerts.logger()), heard()
	<-time.After(reportEvery + time.Second)
	if report("bills_file is being checked", 1000); !heard().After(before) {
		t.Error("they were told nothing")
	}
}
