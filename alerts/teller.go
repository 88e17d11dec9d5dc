package alerts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Teller tells each destination what it does not know yet. It is to be called by one
// goroutine, but for Failing.
type Teller struct {
	who    string // begins each title: which daemon speaks
	onSend func(destination string, err error)

	destinations []*Destination
	memories     map[string]*memory // by the mark of a URL

	mu    sync.Mutex
	tries map[string]*tries // by the same
}

// tries is how sending to one destination goes. Like all that a process can find out
// again, it is not kept.
type tries struct {
	name   string
	failed int // in a row
	since  time.Time
	err    error
	next   time.Time
}

// NewTeller makes one that speaks as who. onSend is called after each message.
func NewTeller(who string, onSend func(destination string, err error)) *Teller {
	return &Teller{who: who, onSend: onSend, memories: map[string]*memory{}, tries: map[string]*tries{}}
}

// Restore takes what Memory gave to an earlier process, or to another daemon meanwhile; "" is nothing.
func (t *Teller) Restore(kept string) error {
	if kept == "" {
		return nil
	}
	var told map[string]*memory
	if err := json.Unmarshal([]byte(kept), &told); err != nil {
		return fmt.Errorf("what was told before cannot be read, so it may be told again: %w", err)
	}
	for mark, m := range told {
		if m == nil {
			continue
		}
		if m.Problems == nil {
			m.Problems = map[string]*known{}
		}
		for _, k := range m.Problems {
			if k.ToldAt.IsZero() { // it is told once this process finds it as well
				k.Seen = k.Since
			}
		}
		t.memories[mark] = m
	}
	return nil
}

// Memory is what the destinations have been told, to be kept for the next process. It
// holds no URL, and changes only when something was told or found.
func (t *Teller) Memory() string {
	b, err := json.Marshal(t.memories)
	if err != nil {
		panic("a memory cannot be encoded: " + err.Error()) // texts and instants
	}
	return string(b)
}

// Use has messages go to these destinations from now on. What those that were there before
// have been told stays known; what is no longer named is forgotten. digest is the
// day of the latest daily report, which a new destination does not get.
func (t *Teller) Use(all []*Destination, digest string) {
	t.destinations = all
	memories := map[string]*memory{}
	tries := map[string]*tries{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range all {
		mark := markOf(d)
		m := t.memories[mark]
		if m == nil {
			m = &memory{Digest: digest}
		}
		if m.Problems == nil {
			m.Problems = map[string]*known{}
		}
		memories[mark] = m
		if have := t.tries[mark]; have != nil {
			have.name = d.name
			tries[mark] = have
		}
	}
	t.memories, t.tries = memories, tries
}

// markOf is by what a URL is known again, without being kept.
func markOf(d *Destination) string {
	sum := sha256.Sum256([]byte(d.raw))
	return hex.EncodeToString(sum[:8])
}

// Round is what there is to tell at an instant.
type Round struct {
	Now      time.Time
	Zone     *time.Location // instants are shown in it
	Problems []Problem
	// Ended says that what is not among Problems is over at once: it cannot come and go.
	Ended bool
	// Day is that of the latest daily report, YYYY-MM-DD, and Digest makes the report;
	// "" = there is none.
	Day    string
	Digest func(context.Context) (Message, error)
}

// Tell tells each destination what is new to it, all at the same time, and returns when each
// has taken it or failed. What could not be sent is tried again by a later call, a minute
// later at first and then up to an hour. The error is about the daily report, which could
// not be made.
func (t *Teller) Tell(ctx context.Context, r Round) error {
	digest, err := t.digest(ctx, r)
	var sending sync.WaitGroup
	for _, d := range t.destinations {
		m := t.memories[markOf(d)]
		m.observe(r.Now, t.withoutOwn(d, r.Problems), r.Ended)
		if !t.mayTry(d, r.Now) {
			continue
		}
		sending.Go(func() { t.tell(ctx, d, m, r, digest) })
	}
	sending.Wait()
	return err
}

// digest makes the daily report, if any destination lacks it.
func (t *Teller) digest(ctx context.Context, r Round) (*Message, error) {
	for _, d := range t.destinations {
		if r.Day != "" && t.memories[markOf(d)].Digest < r.Day && t.mayTry(d, r.Now) {
			m, err := r.Digest(ctx)
			if err != nil {
				return nil, fmt.Errorf("the daily report cannot be made: %w", err)
			}
			return &m, nil
		}
	}
	return nil, nil //nolint:nilnil // none is wanted
}

func (t *Teller) tell(ctx context.Context, d *Destination, m *memory, r Round, digest *Message) {
	if n := m.news(r.Now, r.Zone); n != nil {
		if !t.send(ctx, d, r.Now, Message{n.title, strings.Join(n.lines, "\n\n")}) {
			return
		}
		m.told(n, r.Now)
	}
	if digest != nil && m.Digest < r.Day && t.send(ctx, d, r.Now, *digest) {
		m.Digest = r.Day
	}
}

// send reports whether the destination has taken the message.
func (t *Teller) send(ctx context.Context, d *Destination, now time.Time, m Message) bool {
	m.Title = t.who + ": " + m.Title
	err := d.Send(ctx, m)
	if ctx.Err() != nil {
		return err == nil // the daemon ends: this says nothing of the destination
	}
	t.onSend(d.name, err)
	t.mu.Lock()
	defer t.mu.Unlock()
	mark := markOf(d)
	if err == nil {
		delete(t.tries, mark)
		return true
	}
	is := t.tries[mark]
	if is == nil {
		is = &tries{name: d.name, since: now}
		t.tries[mark] = is
	}
	const longest = time.Hour
	is.next = now.Add(min(time.Minute<<min(is.failed, 6), longest))
	is.failed++
	is.err = err
	return false
}

// mayTry reports whether it is time to try a destination, again if it failed.
func (t *Teller) mayTry(d *Destination, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.tries[markOf(d)]
	return is == nil || !now.Before(is.next) || is.since.After(now) // the clock was set back
}

// failedLong is how many messages in a row a destination has not taken before that is a
// problem of its own.
const failedLong = 3

// failingKey begins the key of a problem of Failing.
const failingKey = "alerts:"

// Failing are the destinations that have not taken several messages in a row. It may be
// called at any time.
func (t *Teller) Failing() (problems []Problem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for mark, is := range t.tries {
		if is.failed >= failedLong {
			problems = append(problems, Problem{
				Key: failingKey + mark,
				Text: fmt.Sprintf("alerts cannot be sent to %s: %s; once that is mended, duewatch doctor --alerts sends a test",
					is.name, is.err),
			})
		}
	}
	return problems
}

// withoutOwn leaves out that the destination itself cannot be reached: it will know.
func (t *Teller) withoutOwn(d *Destination, all []Problem) []Problem {
	own := failingKey + markOf(d)
	others := make([]Problem, 0, len(all))
	for _, p := range all {
		if p.Key != own {
			others = append(others, p)
		}
	}
	return others
}
