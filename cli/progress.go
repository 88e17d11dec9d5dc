package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// How often progress is printed: on a terminal, where a line is written over, and
// elsewhere.
const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 5 * time.Second
)

// rateAfter is how long it takes until a rate says something.
const rateAfter = time.Second

// progress prints how far the reading of a file is: by one line with a bar on a
// terminal, by a line every few seconds elsewhere. Nothing is printed of what
// is done at once.
type progress struct {
	w     io.Writer
	what  string     // "checking"
	unit  string     // what is counted: "rows"
	bytes int64      // of the whole file, 0 when not known
	width func() int // of the terminal; nil = there is none
	began time.Time
	next  time.Time // of the next line
	drawn int       // how long the line is that stands there
}

func newProgress(w io.Writer, what string, bytes int64) *progress {
	return newProgressOf(w, what, "rows", bytes)
}

func newProgressOf(w io.Writer, what, unit string, bytes int64) *progress {
	p := &progress{w: w, what: what, unit: unit, bytes: bytes, began: time.Now()}
	p.next = p.began.Add(lineEvery)
	if f := terminal(w); f != nil {
		p.next = p.began.Add(redrawEvery)
		p.width = func() int { return widthOf(f) }
	}
	return p
}

// at reports that so many rows and bytes are done.
func (p *progress) at(rows int, bytes int64) {
	now := time.Now()
	if p.w == nil || now.Before(p.next) {
		return
	}
	forms := p.forms(rows, bytes, now.Sub(p.began))
	if p.width == nil {
		p.next = now.Add(lineEvery)
		fmt.Fprintln(p.w, forms[1])
		return
	}
	p.next = now.Add(redrawEvery)
	line, width := "", p.width()-1 // in the last column, some terminals break the line
	for _, line = range forms {
		if len(line) <= width {
			break
		}
	}
	line = line[:min(len(line), max(width, 0))] // ASCII, as all that we count
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(p.drawn-len(line), 0)))
	p.drawn = len(line)
}

// forms are the ways to say it, from the longest to the shortest. The second
// one is all in words.
func (p *progress) forms(rows int, bytes int64, took time.Duration) []string {
	count := fmt.Sprintf("%s: %d %s", p.what, rows, p.unit)
	rate, rest := "", ""
	if took >= rateAfter {
		rate = fmt.Sprintf(" (%.0f %s/s)", float64(rows)/took.Seconds(), p.unit)
	}
	if p.bytes <= 0 || bytes <= 0 {
		return []string{count + rate, count + rate, count, fmt.Sprint(rows)}
	}
	// The whole is guessed by the size of the rows so far.
	share := min(float64(bytes)/float64(p.bytes), 1)
	all := fmt.Sprintf(" of about %.0f", float64(rows)/share)
	if took >= rateAfter {
		left := time.Duration(took.Seconds() * (1/share - 1) * float64(time.Second))
		rest = fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	percent := fmt.Sprintf("%.0f%%", 100*share)
	const parts = 10
	done := int(parts * share)
	bar := "[" + strings.Repeat("#", done) + strings.Repeat(".", parts-done) + "] "
	whole := count + all + rest + rate
	return []string{bar + whole, whole, bar + count + rest, count + rest, p.what + ": " + percent + rest, percent}
}

// clear makes room for a line of something else.
func (p *progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}

// done takes the line away, and says no more.
func (p *progress) done() {
	p.clear()
	p.w = nil
}

// phases is the progress of work that has several phases, one after the other.
type phases struct {
	w    io.Writer
	unit string
	now  *progress
}

func newPhases(w io.Writer, unit string) *phases { return &phases{w: w, unit: unit, now: &progress{}} }

// at reports that so many of the units of a phase are done.
func (p *phases) at(what string, done, of int) {
	if what != p.now.what {
		p.now.done()
		p.now = newProgressOf(p.w, what, p.unit, int64(of))
	}
	p.now.at(done, int64(done))
}

func (p *phases) done() { p.now.done() }
