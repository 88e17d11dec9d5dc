package sandbox

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"duewatch/reminder"
)

// sameDay lets cmp compare days.
var sameDay = cmpopts.EquateComparable(reminder.Date{})

func TestStateOutlivesTheSandbox(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	before := newTestServer(t, Options{StateFile: file})
	before.register("1042", "DUE+3-1")
	before.register(ServiceElectricity, "14200331")
	if err := before.Pay("1042", "DUE+3-1", reminder.MustMoney("12.30")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = try(before.sendRequest(textForm("+254710000001", "hello"))) })
	}
	all.Wait()
	before.clock.pass(48 * time.Hour)

	after := newTestServer(t, Options{StateFile: file, Now: before.clock.now})
	if diff := cmp.Diff(before.Texts(), after.Texts()); diff != "" || len(after.Texts()) != 8 {
		t.Errorf("%d texts: %s", len(after.Texts()), diff)
	}
	for _, k := range []billKey{{"1042", "DUE+3-1"}, {ServiceElectricity, "14200331"}} {
		was, _ := before.Bill(k.Service, k.Account)
		is, _ := after.Bill(k.Service, k.Account)
		if diff := cmp.Diff(was, is, sameDay); diff != "" {
			t.Error(diff)
		}
	}
	if got := after.send("+254710000001", "one more"); got.status != 201 || len(after.Texts()) != 9 {
		t.Errorf("after the restart: %d, %d texts", got.status, len(after.Texts()))
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNothingIsConfirmedThatCannotBeSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	b := newTestServer(t, Options{StateFile: filepath.Join(dir, "sandbox.json")})
	if got := b.register("1042", "DUE+3-1"); got.status != 500 {
		t.Errorf("register: %d", got.status)
	}
	if got := b.send("+254710000001", "hello"); got.status != 500 {
		t.Errorf("send: %d", got.status)
	}
}

func TestBadStateIsRefused(t *testing.T) {
	for name, body := range map[string]string{"broken": `{"version":1,"bills":[`, "of another version": `{"version":2}`} {
		file := filepath.Join(t.TempDir(), "sandbox.json")
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{StateFile: file}); err == nil || !strings.Contains(err.Error(), "delete the file") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSamplesShowEveryKind(t *testing.T) {
	today := reminder.NewDate(2026, 5, 4)
	b := newTestServer(t, Options{})
	seen := make(map[billKey]bool)
	phones := make(map[reminder.Phone]int)
	for _, c := range Samples(today) {
		k := billKey{c.Service, c.Account}
		if seen[k] {
			t.Errorf("%v is there twice", k)
		}
		seen[k] = true
		phones[c.Phone]++
		if !strings.HasPrefix(c.Phone.E164(), "+2547100000") || len(c.Phone) != 13 || c.ServiceName == "" || c.Shows == "" || c.Language == "" {
			t.Errorf("%s is incomplete", c.Account)
		}
		got := b.register(c.Service, c.Account)
		if c.Rejected {
			if got.status != 400 {
				t.Errorf("%s (%s): %d", c.Account, c.Shows, got.status)
			}
			continue
		}
		kept, _ := b.Bill(c.Service, c.Account)
		want := Bill{
			Service: c.Service, Account: c.Account, Customer: c.Customer, Balance: c.Balance, DueDate: c.DueDate,
			Registered: true, RemindMe: true, Phone: "+254710000001", Description: "House 12",
		}
		if diff := cmp.Diff(want, kept, sameDay); diff != "" {
			t.Errorf("%s (%s): %s", c.Account, c.Shows, diff)
		}
	}
	if phones["+254710000005"] != 2 {
		t.Error("no phone has two bills")
	}
}

func TestOtherAccountsAreSpreadAndStable(t *testing.T) {
	today := reminder.NewDate(2026, 5, 4)
	days := make(map[int]int)
	var unknown, owed, paid, credit int
	const n = 5000
	for i := range n {
		k := billKey{"1042", "A" + strconv.Itoa(i)}
		b := madeUp(k, today)
		if again := madeUp(k, today); !cmp.Equal(b, again, sameDay) {
			t.Fatalf("%s is not stable", k.Account)
		}
		if b.DueDate.IsZero() {
			unknown++
		} else {
			days[b.DueDate.Sub(today)]++
		}
		switch b.Balance.Sign() {
		case 1:
			owed++
		case 0:
			paid++
		default:
			credit++
		}
	}
	for d, count := range days {
		if d < -5 || d > 25 || count < n/31/3 {
			t.Errorf("%d bills are due in %d days", count, d)
		}
	}
	if len(days) != 31 || unknown < n/40 || owed < n/2 || paid < n/10 || credit < n/20 {
		t.Errorf("%d days, %d unknown, %d owed, %d paid, %d in credit", len(days), unknown, owed, paid, credit)
	}
}

func TestInbox(t *testing.T) {
	b := newTestServer(t, Options{})
	b.send("+254710000003", "Habari <b>Faith</b>, bili yako")
	b.send(PhoneUnreachable, "second")
	b.clock.pass(10 * time.Second)
	page := b.do(b.request("GET", "/inbox", "", ""))
	for _, part := range []string{
		"2 texts, newest first", "Habari &lt;b&gt;Faith&lt;/b&gt;, bili yako", "&#43;2547******03", "1 segment, GSM-7",
		`<span class="undelivered">undelivered</span> (30003)`,
	} {
		if !strings.Contains(page.body, part) {
			t.Errorf("the page lacks %s:\n%s", part, page.body)
		}
	}
	req := b.request("GET", "/inbox", "", "")
	req.Header.Set("Accept", "application/json")
	for name, got := range map[string]reply{"by Accept": b.do(req), "by format": b.do(b.request("GET", "/inbox?format=json", "", ""))} {
		var in struct {
			Texts []map[string]any `json:"texts"`
		}
		got.decode(t, &in)
		if len(in.Texts) != 2 || in.Texts[0]["body"] != "second" || in.Texts[1]["to"] != "+2547******03" || in.Texts[1]["status"] != "delivered" {
			t.Errorf("%s: %s", name, got.body)
		}
		if strings.Contains(page.body+got.body, "254710000003") {
			t.Errorf("%s: a number is not masked", name)
		}
	}
}

// In a copy of a store, a sample number is a customer like any other.
func TestAllReached(t *testing.T) {
	b := newTestServer(t, Options{AllReached: true})
	all := []reminder.Phone{PhoneUnreachable, PhoneOptedOut, PhoneInvalid, PhoneRegionRefused, PhoneNeverLeaves}
	for _, to := range all {
		b.send(to, "hello")
	}
	b.clock.pass(time.Minute)
	texts := b.Texts()
	if len(texts) != len(all) {
		t.Fatalf("%d of %d texts were taken", len(texts), len(all))
	}
	for _, x := range texts {
		if x.Status != statusDelivered {
			t.Errorf("to %s: %s", x.To, x.Status)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	s, err := New(Options{Faults: []Fault{{Where: Token, What: Hold}}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	held := make(chan error, 1)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+ln.Addr().String()+"/v1/oauth/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := try(req)
		held <- err
	}()
	if err := s.AwaitHolding(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-held; err == nil {
		t.Error("the held call was answered")
	}
	if err := s.Serve(t.Context(), ln); err == nil {
		t.Error("a closed listener was served")
	}
}

// Serve asks the guard first, and takes nothing from a page that a browser shows
// from elsewhere.
func TestServeAnswersNotEverybody(t *testing.T) {
	s, err := New(Options{Guard: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "evil.example" {
				w.WriteHeader(http.StatusMisdirectedRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	for name, tt := range map[string]struct {
		host, site string
		want       int
	}{
		"a program":            {"", "", http.StatusNoContent},
		"its own page":         {"", "same-origin", http.StatusNoContent},
		"the guard refuses it": {"evil.example", "", http.StatusMisdirectedRequest},
		"a page of elsewhere":  {"", "cross-site", http.StatusForbidden},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "DELETE", "http://"+ln.Addr().String()+"/faults", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tt.host
		if tt.site != "" {
			req.Header.Set("Sec-Fetch-Site", tt.site)
		}
		answer, err := try(req)
		if err != nil {
			t.Fatal(err)
		}
		if answer.status != tt.want {
			t.Errorf("%s gets %d, want %d", name, answer.status, tt.want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func BenchmarkSend(b *testing.B) {
	s, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	h := s.Handler()
	form := textForm("+254710000001", "Your water bill of KES 846.00 is due today.").Encode()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest("POST", messagesPath+".json", strings.NewReader(form))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(AccountSID, AuthToken)
			h.ServeHTTP(&bufferedResponse{}, req)
		}
	})
}
