package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"duewatch/reminder"
	"duewatch/store"
)

// Page is what / shows, for somebody who would rather look than read. It has no phone and
// no name of a customer, and nothing on it can change anything. What takes long to count
// is counted beforehand, and says of when it is.
type Page struct {
	At      time.Time
	Zone    *time.Location
	Name    string // of the daemon and its host
	Version string

	Alive    bool
	Starting bool     // some job has not begun its first pass
	Standing []string // the mode, the bills, the next reminder
	Problems []ToDo
	Jobs     []Job
	Daemons  []store.Member // one at least
	Stopped  []Waiting      // what keeps all texts from leaving

	Currency string
	Price    *reminder.Money // of a segment; nil = not known

	// Each is nil until it has been counted for the first time.
	Today   *Today
	Outlook *Outlook
	Month   *Month
}

// ToDo is a problem in plain words, and the command that says more or ends it: "" where the
// words name one.
type ToDo struct{ Text, Command string }

// Waiting is why texts wait.
type Waiting struct {
	Reason    reminder.Reason
	Reminders int       // that are held for it
	Since     time.Time // of a stop
	GoesOn    string    // when, or by which command
}

// Means explains the reason.
func (w Waiting) Means() string {
	return strings.TrimPrefix(w.Reason.Info().Means, "sending is stopped: ")
}

// Today is what became of the texts of today, and what waits now.
type Today struct {
	At   time.Time
	Line *store.ReportLine // of the texts alone
	Held []Waiting
}

// Outlook is what the days to come bring.
type Outlook struct {
	At   time.Time
	Days []DayToCome
	// Off is whether the mode is off, so that this is what live would send.
	Off bool
	// CutAt is where the look ahead ended, for it had found MostTexts; zero = it did not.
	CutAt     time.Time
	MostTexts int
	// Bills whose due dates are not known yet, and those that are paused for longer.
	Unregistered, Paused int
}

// DayToCome is what is to be sent on a day.
type DayToCome struct {
	Day             reminder.Date
	Texts, Segments int
}

// Month is the report of the last days.
type Month struct {
	At         time.Time
	Since      reminder.Date
	Days       []*store.ReportLine // each day, also one without texts
	Total      *store.ReportLine
	Stages     []*store.ReportLine
	PaidWithin time.Duration
}

// For how long a page is shown again before it is made anew, and how long a reader waits
// for a newer one before an older one is shown: the store may be busy. A page that is older
// than that is not shown, since what it says may be over.
const (
	pageFresh    = 2 * time.Second
	pagePatience = 120 * time.Millisecond
	pageOldest   = 30 * time.Second
	pageTimeout  = 20 * time.Second
)

// pages shows the page. However many ask at once, it is made once.
type pages struct {
	make func(context.Context) Page

	mu     sync.Mutex
	last   []byte
	madeAt time.Time
	making chan struct{} // closed when the one that is being made is done; nil = none is
	failed error
}

// get returns the page, which may be some seconds old.
func (p *pages) get(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	last, age := p.last, time.Since(p.madeAt)
	if last != nil && age < pageFresh {
		p.mu.Unlock()
		return last, nil
	}
	if p.making == nil {
		p.making = make(chan struct{})
		go p.renew(context.WithoutCancel(ctx), p.making)
	}
	making := p.making
	p.mu.Unlock()

	var tooLong <-chan time.Time
	if last != nil && age < pageOldest {
		timer := time.NewTimer(pagePatience)
		defer timer.Stop()
		tooLong = timer.C
	}
	select {
	case <-making:
	case <-tooLong:
		return last, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.failed
}

func (p *pages) renew(ctx context.Context, made chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	var body bytes.Buffer
	err := pageTemplate.Execute(&body, newView(p.make(ctx)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed = err; err == nil {
		p.last, p.madeAt = body.Bytes(), time.Now()
	}
	p.making = nil
	close(made)
}

func (c Config) page() http.HandlerFunc {
	p := &pages{make: c.Page}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := p.get(r.Context())
		if r.Context().Err() != nil {
			return // the reader has gone
		}
		if err != nil {
			c.Log.Error("the page could not be made", "err", err)
			http.Error(w, "the page could not be made; the log says why", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		setPageHeaders(h)
		h.Set("Content-Type", "text/html; charset=utf-8")
		if _, err := w.Write(body); err != nil {
			c.Log.Debug("the page was not read to its end", "err", err)
		}
	}
}

// setPageHeaders lets a browser do nothing with the page but show it: no script, no frame,
// no form, nothing from elsewhere, and no copy on its disk.
func setPageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	// A forgotten tab must not keep one of the few connections.
	h.Set("Connection", "close")
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed icon.svg
var iconSVG []byte

var pagePolicy = "default-src 'none'; style-src '" + styleHash(pageCSS) + "'; img-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// styleHash is how a policy names the one style sheet that counts.
func styleHash(css string) string {
	sum := sha256.Sum256([]byte(css))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (c Config) icon(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "max-age=86400")
	h.Set("Connection", "close")
	if _, err := w.Write(iconSVG); err != nil {
		c.Log.Debug("the icon was not read to its end", "err", err)
	}
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"commands": commands,
	"sentence": sentence,
	"number":   number,
	"plural":   plural,
}).Parse(pageHTML))

// words is a piece of a sentence; a command is shown as one.
type words struct {
	Text    string
	Command bool
}

// command is what an operator types, inside a sentence. A word behind an option is its value,
// and other words go on with the sentence.
var command = regexp.MustCompile(`duewatch (?:bills|check|doctor|explain|import|move|optout|preview|release|report|retry|services)\b` +
	`(?: --[a-z-]+(?: [a-z_]+)?| [A-Z]+\b)*|(?:journalctl|systemctl)(?: -[a-z] [a-z]+)+`)

// commands takes a sentence apart, so that what can be typed is seen.
func commands(sentence string) (all []words) {
	from := 0
	for _, at := range command.FindAllStringIndex(sentence, -1) {
		if at[0] > from {
			all = append(all, words{Text: sentence[from:at[0]]})
		}
		all, from = append(all, words{sentence[at[0]:at[1]], true}), at[1]
	}
	if from < len(sentence) {
		all = append(all, words{Text: sentence[from:]})
	}
	return all
}

// sentence begins with a capital letter, unless that were part of a name such as mass_paid
// or of a command.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if strings.ContainsAny(first, "_:.") || strings.HasPrefix(s, "duewatch ") {
		return s
	}
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// number is a count with its thousands apart.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 text", "2 texts".
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return number(n) + " " + what
}
