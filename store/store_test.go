package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
	"duewatch/store/db/pgtest"
)

// The tests start themselves again as a child that can be killed: what a
// killed process leaves behind cannot be tried in the process that examines them.
const (
	roleEnv = "DUEWATCH_STORE_TEST_ROLE"
	pathEnv = "DUEWATCH_STORE_TEST_PATH"
)

func TestMain(m *testing.M) {
	roles := map[string]func(ctx context.Context, path string) error{
		"hold": holdOpen,
		"send": sendForever,
	}
	role := roles[os.Getenv(roleEnv)]
	if role == nil {
		os.Exit(pgtest.Main(m))
	}
	if err := role(context.Background(), os.Getenv(pathEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

var nairobi = time.FixedZone("EAT", 3*60*60)

// The bills of the tests are due on a Tuesday; their first stage leaves on the
// Saturday before.
var (
	due        = reminder.NewDate(2026, time.March, 10)
	checkedAt  = time.Date(2026, time.March, 2, 12, 0, 0, 0, nairobi)
	firstStage = time.Date(2026, time.March, 7, 9, 0, 0, 0, nairobi)
	claimed    = Claim{Owner: "test", Lease: 10 * time.Minute}
)

func newPolicy() *reminder.Policy {
	templates := must(reminder.ParseTemplates(reminder.DefaultTemplates()))
	return &reminder.Policy{
		ServiceName: "Water", Zone: nairobi, Currency: "KES", Stages: []reminder.Stage{-3, 0, 2},
		SendAt: 9 * 60, Window: reminder.Window{From: 8 * 60, To: 18 * 60}, MinBalance: reminder.MustMoney("1"),
		MaxBalanceAge: time.Hour, StaleBalance: reminder.StaleHold, PerNumberDaily: 1,
		Language: "en", Templates: templates, MaxSegments: 2,
	}
}

func policiesOf(p *reminder.Policy) reminder.Policies { return reminder.Policies{Default: p} }

// roundAt is a live round of the remind job.
func roundAt(p *reminder.Policy, now time.Time) Round {
	return Round{Now: now, Policies: policiesOf(p), Delivery: reminder.Delivery{Mode: reminder.ModeLive}, Claim: claimed}
}

func phone(i int) reminder.Phone { return reminder.Phone(fmt.Sprintf("+2547100000%02d", i%100)) }

// billOf is bill number i as it is declared; each has a phone of its own.
func billOf(i int) reminder.Bill {
	return reminder.Bill{Service: "water", Account: fmt.Sprintf("%07d", i), Phone: phone(i), Description: fmt.Sprintf("House %d", i)}
}

func billsOf(n int) []reminder.Bill {
	bills := make([]reminder.Bill, n)
	for i := range bills {
		bills[i] = billOf(i)
	}
	return bills
}

// newPlace is where a new store may be.
func newPlace(t testing.TB) string {
	t.Helper()
	return pgtest.Place(t, prepareStore)
}

// prepareStore brings an empty store up to date.
func prepareStore(address string) error {
	s, err := Open(context.Background(), address)
	if err != nil {
		return err
	}
	return s.Close()
}

// aboutFiles skips what is SQLite's own where the tests are run on PostgreSQL.
func aboutFiles(t testing.TB) {
	t.Helper()
	if pgtest.Wanted() {
		t.Skip("this is about files")
	}
}

// places are the paths or addresses of stores.
var places sync.Map

func pathOf(t testing.TB, s *Store) string {
	t.Helper()
	place, ok := places.Load(s)
	if !ok {
		t.Fatal("the store was not opened by openAt")
	}
	return place.(string)
}

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, newPlace(t))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	places.Store(s, path)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func answer(at time.Time, balance string, due reminder.Date) *reminder.Answer {
	m := reminder.MustMoney(balance)
	return &reminder.Answer{At: at, Customer: "Jane Wanjiru", Balance: &m, DueDate: due, Verified: new(true)}
}

// toRegister are the first of the bills that await registration.
func toRegister(t testing.TB, s *Store, now time.Time, n int) []reminder.Bill {
	t.Helper()
	bills, _, err := s.ToRegister(t.Context(), now, Place{}, n)
	mustDo(t, err)
	return bills
}

// watch declares the bills and has Almara Pay accept them at checkedAt.
func watch(t testing.TB, s *Store, p *reminder.Policy, bills ...reminder.Bill) []reminder.Bill {
	t.Helper()
	must(s.Declare("config", bills, checkedAt))
	taken := toRegister(t, s, checkedAt, len(bills))
	results := make([]CheckResult, len(taken))
	for i, b := range taken {
		results[i] = CheckResult{BillID: b.ID, Answer: answer(checkedAt, "2315.50", due)}
	}
	return must(s.RecordChecks(policiesOf(p), checkedAt, results...)).Bills
}

// ready is watch, with a balance that is fresh when the first stage is due.
func ready(t testing.TB, s *Store, p *reminder.Policy, bills ...reminder.Bill) []reminder.Bill {
	t.Helper()
	watched := watch(t, s, p, bills...)
	for i, b := range watched {
		l := must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: b.ID, Answer: answer(firstStage, "2315.50", due)}))
		watched[i] = l.Bills[0]
	}
	return watched
}

// text decides about the bills that are due and returns the one intent.
func text(t testing.TB, s *Store, p *reminder.Policy, now time.Time) Text {
	t.Helper()
	l := must(s.DecideDue(t.Context(), roundAt(p, now), 100))
	if len(l.Texts) != 1 {
		t.Fatalf("%d texts instead of one: %+v", len(l.Texts), l)
	}
	return l.Texts[0]
}

// must is for steps that prepare a test and do not fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// change writes to the store past its own rules.
func change(t testing.TB, s *Store, query string, args ...any) {
	t.Helper()
	mustDo(t, tryChange(s, query, args...))
}

// refuse has the engine refuse a change of a table, by a trigger: event is such as INSERT or
// UPDATE OF state, and when the condition, in which NEW is the row. restore lets it again.
func refuse(t testing.TB, s *Store, event, table, when string) (restore func()) {
	t.Helper()
	create, drop := "CREATE TRIGGER refuse BEFORE "+event+" ON "+table+" WHEN "+when+" BEGIN SELECT raise(ABORT, 'refused'); END", "DROP TRIGGER refuse"
	if pgtest.Wanted() {
		change(t, s, "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE check_violation; END'")
		create = "CREATE TRIGGER refuse BEFORE " + event + " ON " + table + " FOR EACH ROW WHEN (" + when + ") EXECUTE FUNCTION refuse()"
		drop += " ON " + table
	}
	change(t, s, create)
	return func() { change(t, s, drop) }
}

// list reads one column, joined by commas.
func list(t testing.TB, s *Store, query string) string {
	t.Helper()
	return strings.Join(must(db.Collect(s.read(t.Context()).Query(query), scanString)), ",")
}

func tryChange(s *Store, query string, args ...any) error {
	return s.do(func(x *tx) error {
		_, err := x.Exec(query, args...)
		return err
	})
}

// number reads one number through the read pool.
func number(t testing.TB, s *Store, query string, args ...any) (n int64) {
	t.Helper()
	if err := s.read(t.Context()).Row(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// word reads one text, "" for NULL.
func word(t testing.TB, s *Store, query string, args ...any) (v string) {
	t.Helper()
	if err := s.read(t.Context()).Row("SELECT coalesce(("+query+"), '')", args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// dueAt is when the bill is next due in a job; zero when it is not.
func dueAt(t testing.TB, s *Store, q queue, billID int64) time.Time {
	t.Helper()
	var at time.Time
	err := s.read(t.Context()).Row("SELECT (SELECT at FROM "+string(q)+" WHERE bill_id = ?1)", billID).Scan(db.InstantTo(&at))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// quiet runs fn and fails when the file changed meanwhile.
func quiet(t testing.TB, s *Store, fn func()) {
	t.Helper()
	beside := must(OpenWriter(t.Context(), pathOf(t, s)))
	defer beside.Close() //nolint:errcheck // only read from
	version := func() int64 { return must(beside.OthersWrote(t.Context())) }
	before := version()
	fn()
	if version() != before {
		t.Error("the file was written")
	}
}

func TestOthersWrote(t *testing.T) {
	s := openNew(t)
	first := must(s.OthersWrote(t.Context()))
	must(s.Import(t.Context(), SourceImport, billsOf(3), checkedAt, nil))
	mustDo(t, s.Tidy(t.Context()))
	mustDo(t, s.Bills(t.Context(), BillFilter{}, func(Watched) error { return nil }))
	if got := must(s.OthersWrote(t.Context())); got != first {
		t.Errorf("after writes of its own it is %d, not %d", got, first)
	}
	command := must(OpenWriter(t.Context(), pathOf(t, s)))
	must(command.Import(t.Context(), SourceImport, billsOf(4), checkedAt, nil))
	second := must(s.OthersWrote(t.Context()))
	if second == first {
		t.Error("a command's write went unnoticed")
	}
	mustDo(t, command.Close())
	must(s.Import(t.Context(), SourceImport, billsOf(5), checkedAt, nil))
	if got := must(s.OthersWrote(t.Context())); got != second {
		t.Errorf("after the command it goes on changing: %d, not %d", got, second)
	}
}

// billID is the id of a declared bill. An insert that finds its row there may use up an id.
func billID(t testing.TB, s *Store, b reminder.Bill) (id int64) {
	t.Helper()
	mustDo(t, s.read(t.Context()).Row("SELECT id FROM bills WHERE service = ?1 AND account = ?2", b.Service, b.Account).Scan(&id))
	return id
}
