package alerts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Problem is something that is wrong now. Its key stays the same while its text changes.
type Problem struct {
	Key  string
	Text string // one line, which says what to do
}

// When a problem is told, repeated and over.
const (
	// confirmAfter is how long a problem stands before it is told: one that the next check
	// does not find any more wakes nobody.
	confirmAfter = 30 * time.Second
	// overAfter is how long a problem must not have been found before it is over. One that
	// comes and goes is one problem until then.
	overAfter = 15 * time.Minute
	// A problem is repeated when it is twice as old as when it was told last, but no
	// sooner than repeatFirst and no later than repeatLast.
	repeatFirst = time.Hour
	repeatLast  = 24 * time.Hour
)

// memory is what one destination has been told.
type memory struct {
	Problems map[string]*known `json:"problems"`
	// Digest is the day of the last daily report that it has, YYYY-MM-DD.
	Digest string `json:"digest"`
}

// known is a problem that a destination was told, or will be.
type known struct {
	Text   string    `json:"text"`
	Since  time.Time `json:"since"`            // the first check that found it
	ToldAt time.Time `json:"told_at,omitzero"` // zero = not yet
	// Seen is the last check that found it. It is not kept: a process that starts has
	// to look for as long as any other before it says that a problem is over.
	Seen time.Time `json:"-"`
	// ended says that it is certainly over.
	ended bool
}

// observe takes over what a check has found. ended says that nothing else comes again.
func (m *memory) observe(now time.Time, found []Problem, ended bool) {
	for _, k := range m.Problems {
		// The clock was set back: what would be hours ahead counts from now.
		for _, at := range []*time.Time{&k.Since, &k.Seen, &k.ToldAt} {
			if at.After(now) {
				*at = now
			}
		}
		if k.Seen.IsZero() {
			k.Seen = now
		}
	}
	for _, p := range found {
		k := m.Problems[p.Key]
		if k == nil {
			k = &known{Since: now}
			m.Problems[p.Key] = k
		}
		k.Text, k.Seen, k.ended = p.Text, now, false
	}
	for _, k := range m.Problems {
		k.ended = k.ended || ended && k.Seen.Before(now)
	}
	maps.DeleteFunc(m.Problems, func(_ string, k *known) bool { // it came and went
		return k.over(now) && k.ToldAt.IsZero() && k.Seen.Sub(k.Since) < confirmAfter
	})
}

func (k *known) over(now time.Time) bool { return k.ended || now.Sub(k.Seen) >= overAfter }

// isNew reports whether the problem is to be told for the first time.
func (k *known) isNew(now time.Time) bool {
	return k.ToldAt.IsZero() && !k.over(now) && k.Seen.Sub(k.Since) >= confirmAfter
}

// isDue reports whether one that was told is to be repeated.
func (k *known) isDue(now time.Time) bool {
	wait := min(max(k.ToldAt.Sub(k.Since), repeatFirst), repeatLast)
	return now.Sub(k.ToldAt) >= wait
}

// news is what a destination is to be told now.
type news struct {
	title string
	lines []string
	told  []*known // the problems that it names as new or still there
	over  []string // the keys of those that it names as over
}

// news words it; nil = nothing. One that repeats a problem names all that stand.
func (m *memory) news(now time.Time, zone *time.Location) *news {
	at := func(t time.Time) string { return t.In(zone).Format("Mon 2 Jan 15:04") }
	n := new(news)
	var begun, still, over []string
	var toldBefore []*known
	repeat := false
	for _, key := range m.inOrder() {
		switch k := m.Problems[key]; {
		case k.over(now):
			late := ""
			if k.ToldAt.IsZero() {
				late = " (it could not be sent then)"
			}
			over = append(over, fmt.Sprintf("OVER, from %s to %s%s: %s", at(k.Since), at(k.Seen), late, k.Text))
			n.over = append(n.over, key)
		case k.isNew(now):
			begun = append(begun, fmt.Sprintf("NEW, since %s: %s", at(k.Since), k.Text))
			n.told = append(n.told, k)
		case !k.ToldAt.IsZero() && k.Seen.Equal(now): // else it may be over
			still = append(still, fmt.Sprintf("STILL, since %s: %s", at(k.Since), k.Text))
			toldBefore = append(toldBefore, k)
			repeat = repeat || k.isDue(now)
		}
	}
	if len(begun)+len(over) == 0 && !repeat {
		return nil
	}
	n.lines = begun
	if repeat {
		n.lines = append(n.lines, still...)
		n.told = append(n.told, toldBefore...)
	}
	n.lines = append(n.lines, over...)
	if !repeat && len(still) > 0 {
		n.lines = append(n.lines, fmt.Sprintf("(%d more that you know of)", len(still)))
	}
	n.title = titleOf(len(begun), len(still), len(over))
	return n
}

// titleOf is such as "2 new problems, 1 over, 3 still there".
func titleOf(begun, still, over int) string {
	var parts []string
	for _, of := range []struct {
		n           int
		before, end string
	}{{begun, "new ", ""}, {over, "", " over"}, {still, "", " still there"}} {
		if of.n == 0 {
			continue
		}
		what := ""
		if len(parts) == 0 {
			what = " " + of.before + "problem"
			if of.n > 1 {
				what += "s"
			}
		}
		parts = append(parts, fmt.Sprint(of.n)+what+of.end)
	}
	return strings.Join(parts, ", ")
}

// inOrder are the keys, that of the oldest problem first.
func (m *memory) inOrder() []string {
	return slices.SortedFunc(maps.Keys(m.Problems), func(a, b string) int {
		return cmp.Or(m.Problems[a].Since.Compare(m.Problems[b].Since), strings.Compare(a, b))
	})
}

// told notes that the destination has taken the news.
func (m *memory) told(n *news, now time.Time) {
	for _, k := range n.told {
		k.ToldAt = now
	}
	for _, key := range n.over {
		delete(m.Problems, key)
	}
}
