package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// saySo is how often progress is said where there is no terminal.
const saySo = 5 * time.Second

// progress tells how far the reading of a file is: by a bar on a terminal, by a
// line every few seconds elsewhere. Nothing is said of what is done at once.
type progress struct {
	w     io.Writer
	what  string // "checking"
	unit  string // what is counted: "rows"
	bytes int64  // of the whole file, 0 when not known
	bar   *progressbar.ProgressBar
	began time.Time
	next  time.Time // of the next line, without a bar
}

func newProgress(w io.Writer, what string, bytes int64) *progress {
	return newProgressOf(w, what, "rows", bytes)
}

func newProgressOf(w io.Writer, what, unit string, bytes int64) *progress {
	p := &progress{w: w, what: what, unit: unit, bytes: bytes, began: time.Now()}
	p.next = p.began.Add(saySo)
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	most := int64(-1)
	if bytes > 0 {
		most = bytes // until the rows can be guessed
	}
	p.bar = progressbar.NewOptions64(most, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit), progressbar.OptionSetWidth(10),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0))
	return p
}

// at says that so many rows and bytes are done.
func (p *progress) at(rows int, bytes int64) {
	all := int64(0) // rows, as far as the size of those so far tells
	if p.bytes > 0 && bytes > 0 {
		all = max(int64(float64(rows)*float64(p.bytes)/float64(bytes)), int64(rows))
	}
	if p.bar != nil {
		if all > 0 {
			p.bar.ChangeMax64(all + 1) // it ends with done, not when the guess was too low
		}
		_ = p.bar.Set64(int64(rows)) // a bar that cannot be drawn stops nothing
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(saySo)
	rate := float64(rows) / now.Sub(p.began).Seconds()
	rest := ""
	if all > 0 && rate > 0 {
		left := time.Duration(float64(all-int64(rows)) / rate * float64(time.Second))
		rest = fmt.Sprintf(" of about %d, %s left", all, left.Round(time.Second))
	}
	fmt.Fprintf(p.w, "%s: %d %s%s (%.0f %s/s)\n", p.what, rows, p.unit, rest, rate, p.unit)
}

// clear makes room for a line of something else.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// done takes the bar away.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
