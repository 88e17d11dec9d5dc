package scheduler

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// What one bill suffers must hold up no other: bad ones, sorted before good ones,
// in the numbers in which the field has them.

// manyBills declares so many bad accounts and, behind them, so many good ones.
func (w *world) manyBills(bad, good int) {
	w.t.Helper()
	for i := range bad {
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: fmt.Sprintf("BAD-%03d", i), Phone: phone(i % 100)})
	}
	for i := range good {
		w.declared = append(w.declared, reminder.Bill{Service: water, Account: fmt.Sprintf("GOOD-%03d", i), Phone: phone(i % 100)})
	}
	if _, err := w.Store.Declare("config", w.declared, w.clock.now()); err != nil {
		w.t.Fatal(err)
	}
}

// inState counts the bills of a state whose accounts begin so.
func (w *world) inState(prefix string, state reminder.BillState) (n int) {
	w.t.Helper()
	err := w.Store.Bills(w.ctx, store.BillFilter{State: state}, func(b store.Watched) error {
		if strings.HasPrefix(b.Account, prefix) {
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) passes(n int, name string) {
	w.t.Helper()
	for range n {
		w.clock.pass(time.Minute)
		w.job(name).pass(w.ctx, w.Scheduler)
	}
}

func (w *world) warned(reason reminder.Reason) string {
	w.t.Helper()
	all, err := w.Store.Warnings(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, warning := range all {
		if warning.Reason == reason {
			return warning.Detail
		}
	}
	return ""
}

func TestUnknownAccountsSortedFirstHoldUpNoGoodBill(t *testing.T) {
	t.Parallel()
	refuse := func(status int, body string) []sandbox.Fault {
		return []sandbox.Fault{{Where: sandbox.Register, What: sandbox.Status, Status: status, Body: body, Match: "BAD-"}}
	}
	for name, c := range map[string]struct {
		faults []sandbox.Fault
		said   string
	}{
		"problem without errors": {refuse(404, `{"title":"Not Found","status":404}`), "Not Found (status 404)"},
		"message":                {refuse(400, `{"message":"Account does not exist","status":"FAILED"}`), "Account does not exist (status 400)"},
		"error":                  {refuse(400, `{"error":"bad","error_description":"no such account"}`), "no such account: bad (status 400)"},
		"page":                   {[]sandbox.Fault{{Where: sandbox.Register, What: sandbox.HTML, Status: 404, Match: "BAD-"}}, "status 404 (404 Not Found Not Found)"},
		"403":                    {refuse(403, `{"title":"Forbidden"}`), "no right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.faults(c.faults...)
			w.manyBills(200, 20)
			calls := w.sandbox.Calls()[sandbox.Register]
			w.passes(2, jobRegister)
			if n := w.inState("GOOD", reminder.BillActive); n != 20 {
				t.Errorf("%d of 20 good bills are registered", n)
			}
			w.passes(60, jobRegister)
			if err := w.job(jobRegister).err; err != nil {
				t.Errorf("the pass fails: %v", err)
			}
			if n := w.inState("BAD", reminder.BillPending); n != 200 {
				t.Errorf("%d of 200 unknown accounts wait", n)
			}
			if b := w.bill("BAD-007"); !strings.Contains(b.LastError, c.said) || b.Failures == 0 {
				t.Errorf("%d failures, %q, want %q", b.Failures, b.LastError, c.said)
			}
			if n := w.sandbox.Calls()[sandbox.Register] - calls; n > 7*220 {
				t.Errorf("%d calls in an hour", n)
			}
			named := 0
			for line := range strings.Lines(w.log.String()) {
				if strings.Contains(line, "BAD-") && strings.HasPrefix(line, "time=") && !strings.Contains(line, "level=DEBUG") {
					named++
				}
			}
			if named == 0 || named > 62 {
				t.Errorf("the log names bad bills %d times in 62 passes", named)
			}
		})
	}
}

// Bills that always meet a fault of the server are sorted before good ones: first,
// and on both sides.
func TestBillsThatAlwaysFailHoldUpNoGoodBill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  sandbox.Fault
		match  []string
		within time.Duration
	}{
		"{}":            {sandbox.Fault{What: sandbox.Empty}, []string{"BAD-"}, 3 * time.Minute},
		"redirect":      {sandbox.Fault{What: sandbox.Status, Status: 302}, []string{"BAD-"}, 3 * time.Minute},
		"500":           {sandbox.Fault{What: sandbox.Status, Status: 500}, []string{"BAD-"}, 3 * time.Minute},
		"429 for a day": {sandbox.Fault{What: sandbox.Status, Status: 429, RetryAfter: 86399}, []string{"BAD-"}, 3 * time.Minute},
		"time-out":      {sandbox.Fault{What: sandbox.Hold, Seconds: 3600}, []string{"BAD-"}, 30 * time.Minute},
		"on both sides": {sandbox.Fault{What: sandbox.Empty}, []string{"BAD-", "GOOD-02", "GOOD-03", "GOOD-04", "GOOD-05"}, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := prepare(t, inBubble)
				end := w.run()
				defer func() { end() }()
				w.until("2000-01-01 03:00:10")
				for _, match := range c.match {
					fault := c.fault
					fault.Where, fault.Match = sandbox.Register, match
					w.faults(fault)
				}
				w.manyBills(200, 20*min(len(c.match), 3))
				w.wake(jobRegister)
				w.until(time.Date(2000, 1, 1, 3, 0, 10, 0, zone).Add(c.within).Format(time.DateTime))
				if n := w.inState("GOOD", reminder.BillActive); n != 20 {
					t.Errorf("%d of 20 good bills are registered after %s", n, c.within)
				}
				w.until("2000-01-01 04:00:00")
				for _, account := range []string{"BAD-000", "BAD-199"} {
					b := w.bill(account)
					if wait := b.NextCheck.Sub(w.clock.now()); b.Failures == 0 || wait > time.Hour {
						t.Errorf("%s: %d failures, and asked about again after %s", account, b.Failures, wait)
					}
				}
			})
		})
	}
}

// dueOn declares bills of two services, those of the first sorted before the others.
func (w *world) dueOn(day reminder.Date, first, second int) {
	w.t.Helper()
	for i := range first + second {
		service, account := water, fmt.Sprintf("W-%03d", i)
		if i < first {
			service, account = sandbox.ServiceElectricity, fmt.Sprintf("P-%03d", i)
		}
		if err := w.sandbox.Move(service, account, day); err != nil {
			w.t.Fatal(err)
		}
		if err := w.sandbox.Pay(service, account, reminder.MustMoney("700")); err != nil {
			w.t.Fatal(err)
		}
		w.declared = append(w.declared, reminder.Bill{Service: service, Account: account, Phone: reminder.Phone(fmt.Sprintf("+2547100%05d", i))})
	}
	if _, err := w.Store.Declare("config", w.declared, w.clock.now()); err != nil {
		w.t.Fatal(err)
	}
}

// dueOfTwoServices has such bills that are due for a reminder now, the balances of
// which must be asked for first.
func (w *world) dueOfTwoServices(first, second int) {
	w.t.Helper()
	w.dueOn(reminder.NewDate(2026, time.March, 12), first, second)
	w.job(jobRegister).pass(w.ctx, w.Scheduler)
	w.at("2026-03-09 10:30") // the balances are older than an hour
}

func (w *world) textsOf(prefix string) (n int) {
	for _, x := range w.texts() {
		if strings.Contains(x, " "+prefix) {
			n++
		}
	}
	return n
}

func TestOneBillThatIsNotLetInSilencesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dueOfTwoServices(0, 59)
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 403, Match: "W-000"})
	w.passes(1, jobRemind)
	if n := w.textsOf("W-"); n != 58 {
		t.Errorf("%d of 58 are texted", n)
	}
	if err := w.job(jobRemind).err; err != nil {
		t.Errorf("the pass fails: %v", err)
	}
	w.wantStory("W-000", "3 days before: held, balance_stale")
}

func TestAServiceThatIsNotPermittedSilencesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.round = 16 })
	w.dueOfTwoServices(200, 20)
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 403, Match: "P-"})
	w.passes(1, jobRemind)
	if n := w.textsOf("W-"); n != 20 {
		t.Errorf("%d of 20 are texted in the first pass: %v", n, w.job(jobRemind).err)
	}
	// The rights of the whole account are gone: loudly, and no bill is marked.
	w.at("2026-03-12 10:30")
	w.sandbox.ClearFaults()
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 403})
	w.passes(1, jobRemind)
	if err := w.job(jobRemind).err; err == nil || !strings.Contains(err.Error(), "refuses duewatch itself") || !strings.Contains(err.Error(), "being account") {
		t.Errorf("the pass says %v", err)
	}
	if b := w.bill("W-205"); b.Failures != 0 || b.LastError != "" {
		t.Errorf("a bill is marked: %d, %q", b.Failures, b.LastError)
	}
}

func TestAServiceThatIsNotPermittedIsNoFaultOfTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.Status, Status: 403, Match: "BAD-"})
	w.manyBills(30, 5)
	w.passes(2, jobRegister)
	for range 30 { // only bills that are not let in are due any more
		w.passes(1, jobRegister)
		if err := w.job(jobRegister).err; err != nil {
			t.Fatalf("bills that were not let in before, while others were, speak for the account: %v", err)
		}
	}
	w.wantLog("Almara Pay gives no right to this bill")
}

func TestAWrongBaseURLRejectsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.manyBills(0, 12)
	w.passes(1, jobRegister)
	w.manyBills(5, 0)
	w.toAlmara.hooks(func(r *http.Request) error {
		if strings.Contains(r.URL.Path, "bill-numbers") {
			r.URL.Path = "/elsewhere" + r.URL.Path
		}
		return nil
	}, nil)
	for range 3 * 24 {
		w.clock.pass(time.Hour)
		_ = w.tryTick()
	}
	if n := w.inState("", reminder.BillRejected); n > 0 {
		t.Errorf("%d bills are rejected", n)
	}
	if said := w.warned(reminder.NobodyAnswered); !strings.Contains(said, "almara.base_url") || !strings.Contains(said, "404") {
		t.Errorf("the warning says %q", said)
	}
	w.toAlmara.hooks(nil, nil)
	w.clock.pass(7 * time.Hour)
	_ = w.tryTick()
	if said := w.warned(reminder.NobodyAnswered); said != "" {
		t.Errorf("somebody was answered, and the warning stands: %q", said)
	}
}

func TestAnUnknownAccountIsRejectedOnTheSecondDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.faults(sandbox.Fault{Where: sandbox.Register, What: sandbox.HTML, Status: 404, Match: "BAD-", Body: "<p>No such account</p>"})
	w.manyBills(1, 0)
	w.tick()
	for range 15 { // the rest of the day
		w.clock.pass(time.Hour)
		w.tick()
	}
	if b := w.bill("BAD-000"); b.State != reminder.BillPending {
		t.Fatalf("the bill is %s on the first day", b.State)
	}
	// Nobody else is there, so a second day alone proves nothing.
	w.ticks(48*time.Hour, time.Hour)
	if b := w.bill("BAD-000"); b.State != reminder.BillPending {
		t.Fatalf("the bill is %s, and nobody was answered well", b.State)
	}
	if w.warned(reminder.NobodyAnswered) == "" {
		t.Error("nobody is answered well, and there is no warning")
	}
	w.manyBills(0, 1)
	w.ticks(7*time.Hour, time.Hour)
	if b := w.bill("BAD-000"); b.State != reminder.BillRejected || b.LastError != "status 404 (No such account)" {
		t.Errorf("the bill is %s, %q", b.State, b.LastError)
	}
	w.wantLog("Almara Pay refuses this bill; edit it")
}

// An answer that nobody foresaw must not end the daemon, which would begin with
// the same bill after each start.
func TestAnAnswerThatLeadsToAPanicIsItsBillsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.toAlmara.hooks(func(r *http.Request) error {
		if r.Body == nil || !strings.Contains(bodyOf(r), "BAD-") {
			return nil
		}
		panic("an answer that nobody foresaw")
	}, nil)
	w.manyBills(1, 5)
	w.passes(1, jobRegister)
	if n := w.inState("GOOD", reminder.BillActive); n != 5 {
		t.Errorf("%d of 5 good bills are registered", n)
	}
	if b := w.bill("BAD-000"); b.Failures != 1 {
		t.Errorf("%d failures, %q", b.Failures, b.LastError)
	}
	w.wantLog("an answer that nobody foresaw")
}

// bodyOf reads the body of a request, and leaves it to be read again.
func bodyOf(r *http.Request) string {
	body, _ := io.ReadAll(r.Body) // of our own client, from memory
	r.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

// The same just before the texts, where each balance is asked for.
func TestBillsThatAlwaysFailKeepNoTextBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{"{}": {What: sandbox.Empty}, "500": {What: sandbox.Status, Status: 500}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := prepare(t, inBubble, func(w *world) { w.policy.MaxBalanceAge, w.round = 0, 16 })
				w.until("2000-01-01 08:30:00")
				end := w.run()
				defer func() { end() }()
				w.until("2000-01-01 08:30:10")
				w.dueOn(reminder.NewDate(2000, time.January, 4), 200, 20)
				w.wake(jobRegister)
				w.until("2000-01-01 08:59:50")
				fault.Where, fault.Match = sandbox.Register, "P-"
				w.faults(fault)
				w.until("2000-01-01 10:30:00")
				if w.textsOf("W-") == 0 {
					t.Error("nobody is texted after an hour and a half")
				}
				// While nearly all that is asked about fails, one bill is tried at a time to see
				// whether Almara Pay answers again. Nearly always all good ones were asked about before,
				// but on a busy machine nine of them were not, and had to wait until they were that one.
				for hour := 11; hour < 18 && w.textsOf("W-") < 20; hour++ {
					w.until(fmt.Sprintf("2000-01-01 %d:00:00", hour))
				}
				if n := w.textsOf("W-"); n != 20 {
					t.Errorf("%d of 20 are texted before the window closes", n)
				}
				if n := w.textsOf("P-"); n != 0 {
					t.Errorf("%d are texted though nobody knows what they owe", n)
				}
			})
		})
	}
}
