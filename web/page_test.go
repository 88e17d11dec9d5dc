package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store"
	"duewatch/web"
)

var pageAt = time.Date(2026, 3, 31, 9, 30, 12, 0, time.UTC)

// busyPage is a page with something in each of its places.
func busyPage() web.Page {
	price := reminder.MustMoney("0.8")
	line := func(delivered, failed int) *store.ReportLine {
		return &store.ReportLine{
			Name: "all", Delivered: delivered, Failed: failed, OnTheWay: 3, Unconfirmed: 1, NotSent: 2, InDoubt: 1, BeingSent: 4,
			Segments: 2 * delivered, Codes: map[int]int{30003: failed},
			Skipped: map[reminder.Reason]int{reminder.Paid: 12, reminder.OptedOut: 1},
			Charged: map[string]reminder.Money{"USD": reminder.MustMoney("12.4")},
		}
	}
	p := web.Page{
		At: pageAt, Zone: time.UTC, Name: "duewatch on pay-1", Version: "duewatch 0.1.0", Alive: true, Currency: "KES", Price: &price,
		Standing: []string{"mode live", "49,997 bills, 3 rejected", "next reminder due 1 Apr 09:00"},
		Problems: []web.ToDo{
			{Text: "sending is stopped since 31 Mar 08:02: account_fault: the provider refuses the account (code 20003); " +
				"duewatch release --reason account_fault lets it go on"},
			{Text: "the last pass of recheck failed; journalctl -u duewatch -p err says why", Command: "duewatch doctor"},
		},
		Stopped: []web.Waiting{{Reason: reminder.AccountFault, Since: pageAt.Add(-time.Hour), GoesOn: "by duewatch release --reason account_fault"}},
		Jobs: []web.Job{
			{Name: "remind", LastStarted: pageAt.Add(-time.Minute), LastEnded: pageAt.Add(-58 * time.Second)},
			{Name: "recheck", LastStarted: pageAt.Add(-time.Minute), LastEnded: pageAt.Add(-59 * time.Second), LastError: "no answer"},
			{Name: "housekeeping", Late: true},
		},
		Daemons: []store.Member{
			{Host: "pay-1", PID: 11, Lives: true, Decides: true, Works: true, Leads: true, Version: "duewatch 0.1.0", Since: pageAt.Add(-72 * time.Hour), SeenAt: pageAt.Add(-2 * time.Second)},
			{Host: "pay-2", PID: 12, Lives: true, Version: "duewatch 0.1.0", Since: pageAt.Add(-48 * time.Hour), SeenAt: pageAt.Add(-3 * time.Minute)},
		},
		Today: &web.Today{At: pageAt, Line: line(1234, 5), Held: []web.Waiting{
			{Reason: reminder.SameWords, Reminders: 12345, GoesOn: "by itself"},
			{Reason: reminder.Surge, Reminders: 7, GoesOn: "tomorrow, or by duewatch release --reason surge"},
		}},
		Outlook: &web.Outlook{At: pageAt.Add(-3 * time.Minute), CutAt: pageAt.Add(50 * time.Hour), MostTexts: 200_000, Unregistered: 1, Paused: 2},
		Month: &web.Month{
			At: pageAt.Add(-40 * time.Second), Since: reminder.NewDate(2026, 3, 1), PaidWithin: 72 * time.Hour, Total: line(38_254, 155),
			Stages: []*store.ReportLine{{Name: "3 days before", Texted: 300, Paid: 100, PaidOf: 250, TooEarly: 50}, {Name: "due day", Texted: 3, TooEarly: 3}},
		},
	}
	for i := range 7 {
		p.Outlook.Days = append(p.Outlook.Days, web.DayToCome{Day: reminder.NewDate(2026, 3, 31).AddDays(i), Texts: 900 + 100*i, Segments: 1000 + 150*i})
	}
	for i := range 31 {
		p.Month.Days = append(p.Month.Days, line(1200+i%7*50, 5))
	}
	return p
}

func pageConfig(p web.Page) web.Config {
	c := config(web.Health{Alive: true})
	c.Page = func(context.Context) web.Page { return p }
	return c
}

// written is the page as HTML.
func written(t *testing.T, p web.Page) string {
	t.Helper()
	r := ask(t, pageConfig(p), request(t, http.MethodGet, "/"))
	if r.StatusCode != http.StatusOK {
		t.Fatalf("the page answers %d", r.StatusCode)
	}
	html := body(t, r)
	if dir := os.Getenv("DUEWATCH_TEST_PAGES"); dir != "" { // to look at it
		name := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".html")
		if err := os.WriteFile(name, []byte(html), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return html
}

func TestThePageKeepsToAPolicyWithoutScripts(t *testing.T) {
	t.Parallel()
	r := ask(t, pageConfig(busyPage()), request(t, http.MethodGet, "/"))
	html := body(t, r)
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(html)
	if style == nil {
		t.Fatal("there is no style sheet")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	for name, want := range map[string]string{
		"Content-Security-Policy": want, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Content-Type": "text/html; charset=utf-8", "Connection": "close",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, forbidden := range []string{"<script", "javascript:", " style=", " onclick", " onload", "http://", "https://", "<form", "<iframe"} {
		if strings.Contains(html, forbidden) {
			t.Errorf("%q is in the page", forbidden)
		}
	}
	if icon := ask(t, pageConfig(busyPage()), request(t, http.MethodGet, "/icon.svg")); icon.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the icon is %q", icon.Header.Get("Content-Type"))
	}
}

// What a browser without SVG shows has all numbers: tables stand beside the drawings.
func TestThePageSaysAllWithoutItsDrawings(t *testing.T) {
	t.Parallel()
	html := regexp.MustCompile(`(?s)<svg.*?</svg>`).ReplaceAllString(written(t, busyPage()), "")
	for _, want := range []string{
		"2 things to do", "lets it go on", "<code>duewatch release --reason account_fault</code>", `<code>duewatch doctor</code>`,
		`id="today-delivered"><data value="1234">1,234</data>`, "5 × code 30003", "12 × nothing is owed; 1 × the customer does not want texts", "12,345", "same_words",
		`<code>duewatch release --reason surge</code>`, "Tue 31 Mar 2026", `<td class="n"><data value="900">900</data></td>`,
		"<th scope=\"row\">All</th>", `<data value="38254">38,254</data>`, "40.0%", "KES 61,206.40 at 0.80 each; the provider has charged USD 12.40",
		"3 days before", ">failed<", ">late<", "pay-2", "3 minutes ago", "more than 200,000 texts", "1 bill still to be registered", "2 bills paused",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

func TestAFreshPageSaysThatNothingIsThereYet(t *testing.T) {
	t.Parallel()
	html := written(t, web.Page{
		At: pageAt, Zone: time.UTC, Alive: true, Starting: true, Currency: "KES", Name: "duewatch on pay-1",
		Daemons: []store.Member{{Host: "pay-1", PID: 1, Since: pageAt}}, Jobs: []web.Job{{Name: "remind"}},
	})
	for _, want := range []string{"duewatch is starting", "not yet", "reload in a moment", "The daemon<"} {
		if !strings.Contains(html, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	empty := web.Page{
		At: pageAt, Zone: time.UTC, Alive: true, Currency: "KES", Name: "duewatch on pay-1",
		Daemons: []store.Member{{Host: "pay-1", PID: 1, Since: pageAt}},
		Today:   &web.Today{At: pageAt, Line: &store.ReportLine{}},
		Outlook: &web.Outlook{At: pageAt, Days: make([]web.DayToCome, 7)},
		Month:   &web.Month{At: pageAt, Since: reminder.NewDate(2026, 3, 31), Days: []*store.ReportLine{{}}, Total: &store.ReportLine{}},
	}
	html = written(t, empty)
	for _, want := range []string{"All is well", "No text is to be sent", "No text was begun", "No reminder was texted yet"} {
		if !strings.Contains(html, want) {
			t.Errorf("an empty store: it does not say %q", want)
		}
	}
	empty.Alive = false
	if html := written(t, empty); !strings.Contains(html, "duewatch is not well") {
		t.Error("it does not say that the daemon is not alive")
	}
}

// What comes from outside is shown as it is written.
func TestThePageEscapesWhatItShows(t *testing.T) {
	t.Parallel()
	const evil = `</title><script>alert(1)</script>"'`
	p := busyPage()
	p.Name, p.Version, p.Standing = evil, evil, []string{evil}
	p.Problems = []web.ToDo{{Text: evil + " duewatch release", Command: evil}}
	p.Currency, p.Jobs[0].Name, p.Daemons[0].Host, p.Month.Stages[0].Name = evil, evil, evil, evil
	p.Today.Held[0].GoesOn, p.Today.Held[0].Reason = evil, evil
	if html := written(t, p); strings.Contains(html, "<script") || !strings.Contains(html, "&lt;script&gt;") {
		t.Error("a script is in the page")
	}
}

func TestThePageIsForWhoMayAsk(t *testing.T) {
	t.Parallel()
	foreign := request(t, http.MethodGet, "/")
	foreign.Host = "evil.example"
	if r := ask(t, pageConfig(busyPage()), foreign); r.StatusCode != http.StatusMisdirectedRequest || strings.Contains(body(t, r), "pay-1") {
		t.Errorf("a foreign name of this host is answered with %d", r.StatusCode)
	}
	for path := range map[string]bool{"/": true, "/icon.svg": true} {
		c := pageConfig(busyPage())
		c.Token = token
		for password, want := range map[string]int{"": 401, "wrong": 401, token: 200} {
			r := request(t, http.MethodGet, path)
			if password != "" {
				r.SetBasicAuth("anybody", password)
			}
			answer := ask(t, c, r)
			if answer.StatusCode != want {
				t.Errorf("%s with the password %q is answered with %d, want %d", path, password, answer.StatusCode, want)
			}
			if want == 401 && answer.Header.Get("WWW-Authenticate") == "" {
				t.Error("the browser does not ask for the password")
			}
		}
		post := request(t, http.MethodPost, path)
		post.SetBasicAuth("", token)
		if r := ask(t, c, post); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("something can be posted to %s: %d", path, r.StatusCode)
		}
	}
}

// Whoever asks at once gets the same page, which was made once, over the few connections
// that there are.
func TestTwoHundredClientsGetOnePage(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	c := config(web.Health{Alive: true})
	c.Page = func(context.Context) web.Page {
		p := busyPage()
		p.Name = fmt.Sprintf("duewatch, the page of the number %d", made.Add(1))
		return p
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, listener, c) }()
	var clients sync.WaitGroup
	var mu sync.Mutex
	pages := map[string]int{}
	for range 200 {
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{}} // keeps its connection, if it may
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			page, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			pages[string(page)]++
		})
	}
	clients.Wait()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if len(pages) != 1 || made.Load() != 1 {
		t.Errorf("%d pages were made, and %d different ones shown", made.Load(), len(pages))
	}
}

// While the store is busy a page of some seconds ago is better than none.
func TestAnOlderPageIsShownWhileANewOneIsMade(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	defer close(slow)
	var made atomic.Int64
	c := config(web.Health{Alive: true})
	c.Page = func(context.Context) web.Page {
		if made.Add(1) > 1 {
			<-slow
		}
		return busyPage()
	}
	handler := web.Handler(c)
	get := func() int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request(t, http.MethodGet, "/"))
		return w.Code
	}
	for began := time.Now(); made.Load() < 2; { // until the first page is no longer fresh
		before := time.Now()
		if status := get(); status != http.StatusOK {
			t.Fatalf("it answers %d", status)
		}
		if waited := time.Since(before); made.Load() > 1 && waited > 2*time.Second {
			t.Errorf("the older page came after %s", waited)
		}
		if time.Since(began) > 30*time.Second {
			t.Fatal("no new page is made")
		}
	}
}

func TestCommandsInASentenceAreSeen(t *testing.T) {
	t.Parallel()
	for sentence, want := range map[string][]string{
		"it waits; duewatch release --reason surge lets it go on":         {"duewatch release --reason surge"},
		"duewatch release names them, and says what to do":                {"duewatch release"},
		"mend the account where it comes from, or duewatch retry ACCOUNT": {"duewatch retry ACCOUNT"},
		"the last reload was refused; duewatch check and the log say why": {"duewatch check"},
		"it failed; journalctl -u duewatch -p err says why":               {"journalctl -u duewatch -p err"},
		"duewatch bills --held same_words lists their bills":              {"duewatch bills --held same_words"},
		"a code that duewatch does not know":                              nil,
		"make sure that no other duewatch runs on this account":           {},
	} {
		p := busyPage()
		p.Problems, p.Stopped, p.Today, p.Outlook = []web.ToDo{{Text: sentence}}, nil, nil, nil
		html := written(t, p)
		list := html[strings.Index(html, `<ol class="todo">`):strings.Index(html, "</ol>")]
		var got []string
		for _, code := range regexp.MustCompile(`<code>(.*?)</code>`).FindAllStringSubmatch(list, -1) {
			got = append(got, code[1])
		}
		if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("of %q it shows %q as commands, want %q", sentence, got, want)
		}
	}
}
