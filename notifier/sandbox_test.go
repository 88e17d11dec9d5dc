package notifier

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
	"duewatch/sandbox"
)

// bench is a Notifier before a sandbox, whose clock stands still until the test
// moves it.
type bench struct {
	*Notifier
	*sandbox.Sandbox
	now atomic.Int64 // Unix seconds
}

func newBench(t *testing.T, faults ...sandbox.Fault) *bench {
	t.Helper()
	b := &bench{}
	b.now.Store(time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC).Unix())
	s, err := sandbox.New(sandbox.Options{Now: b.clock, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(serve(t, s.Handler().ServeHTTP))
	c.AccountSID, c.AuthToken, c.From = sandbox.AccountSID, sandbox.AuthToken, sandbox.From
	b.Sandbox, b.Notifier = s, newNotifier(t, c)
	return b
}

func (b *bench) clock() time.Time { return time.Unix(b.now.Load(), 0) }

func (b *bench) send(t *testing.T, to reminder.Phone, body string) string {
	t.Helper()
	r := b.Send(t.Context(), Message{To: to, Body: body, Validity: time.Hour})
	if r.Outcome != Accepted {
		t.Fatalf("outcome %q: %v", r.Outcome, r.Err)
	}
	return r.SID
}

func (b *bench) list(t *testing.T, q Query) (found map[string]Listed, complete bool) {
	t.Helper()
	all, complete, err := b.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	found = map[string]Listed{}
	for _, l := range all {
		found[l.SID] = l
	}
	if len(found) != len(all) {
		t.Errorf("%d texts listed, %d of them different", len(all), len(found))
	}
	return found, complete
}

func TestListFindsEachTextToTheByte(t *testing.T) {
	b := newBench(t)
	words := []string{
		"Dear Achieng, KES 2,315.50 is due tomorrow.", "Habari Ọla & co: 50% = KES 1+1 “tomorrow” 🙂\nend", " spaces at both ends ",
		"a\u0301 and \u00e1 are not the same", "tab\t, quote \", backslash \\, <b>, \u2028", "€ ^ { } \\ [ ] ~ |",
	}
	want := map[string]string{}
	for i := range 2*pageOfOne + 5 {
		body := fmt.Sprintf("%s %d", words[i%len(words)], i)
		want[b.send(t, sandbox.PhoneNeverLeaves, body)] = body
		if i%10 == 0 {
			b.send(t, testPhone, body) // must not be found
		}
	}
	found, complete := b.list(t, Query{To: sandbox.PhoneNeverLeaves, Since: b.clock().Add(-time.Hour)})
	got := map[string]string{}
	for sid, l := range found {
		got[sid] = l.Body
		if l.To != sandbox.PhoneNeverLeaves || l.Status != "queued" || !l.SentAt.IsZero() || !l.CreatedAt.Equal(b.clock()) {
			t.Fatalf("%v, created %s, sent %s; want a queued text to the phone that was asked for", l, l.CreatedAt, l.SentAt)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || !complete {
		t.Errorf("complete %t; bodies (-want +got):\n%s", complete, diff)
	}
	if found, complete := b.list(t, Query{To: sandbox.PhoneNeverLeaves, MaxMessages: pageOfOne}); complete || len(found) != pageOfOne {
		t.Errorf("with a bound of a page: %d texts, complete %t", len(found), complete)
	}
}

func TestListFindsATextWhoseAnswerWasLost(t *testing.T) {
	b := newBench(t, sandbox.Fault{Where: sandbox.Send, What: sandbox.Drop, After: true, Times: 1})
	r := b.Send(t.Context(), testMessage())
	if r.Outcome != Unknown {
		t.Fatalf("outcome %q, want unknown", r.Outcome)
	}
	found, complete := b.list(t, Query{To: testPhone, Since: b.clock()})
	if len(found) != 1 || !complete {
		t.Fatalf("%d texts, complete %t; want the one that was lost", len(found), complete)
	}
	for sid, l := range found {
		if l.Body != testBody {
			t.Error("the body is not the one that was sent")
		}
		receipt, err := b.Fetch(t.Context(), sid)
		if diff := cmp.Diff(l.Receipt, receipt); diff != "" || err != nil {
			t.Errorf("err %v; list and fetch differ (-list +fetch):\n%s", err, diff)
		}
	}
}

func TestListDoesNotClaimAbsenceByFault(t *testing.T) {
	for _, what := range []sandbox.FaultKind{sandbox.Empty, sandbox.HTML, sandbox.Truncate, sandbox.Drop} {
		b := newBench(t)
		b.send(t, testPhone, testBody)
		// Without end: a dropped GET is asked again by net/http, as it may be.
		if err := b.AddFaults(sandbox.Fault{Where: sandbox.List, What: what}); err != nil {
			t.Fatal(err)
		}
		found, complete, err := b.List(t.Context(), Query{To: testPhone})
		expect(t, err, ErrRetry)
		if found != nil || complete {
			t.Errorf("%s: found %v, complete %t", what, found, complete)
		}
	}
}

func TestListReadsManyReceiptsAtOnce(t *testing.T) {
	b := newBench(t)
	b.send(t, testPhone, "an old text")
	b.now.Add(48 * 3600)
	since := b.clock()
	sent := b.send(t, testPhone, "sent and delivered")
	b.send(t, sandbox.PhoneNeverLeaves, "queued for ever")
	b.now.Add(60)
	found, complete := b.list(t, Query{SentSince: since})
	if len(found) != 1 || found[sent].Status != "delivered" || found[sent].Price == "" || found[sent].SentAt.IsZero() {
		t.Errorf("found %v, want the delivered text alone, with its price", found)
	}
	if complete {
		t.Error("a list of sent texts is called complete: a queued one would be taken for absent")
	}
}
