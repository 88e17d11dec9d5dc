package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"duewatch/config"
)

// NewLog writes JSON for programs, or lines for people: coloured on a terminal
// and without the time under systemd, whose journal has its own. A w of Gather
// is flushed by whatever is worth a warning.
func NewLog(w io.Writer, c config.Log, zone *time.Location) *slog.Logger {
	h := newHandler(w, c, zone)
	if g, ok := w.(*Gatherer); ok {
		h = urgent{h, g}
	}
	return slog.New(h)
}

func newHandler(w io.Writer, c config.Log, zone *time.Location) slog.Handler {
	if c.Format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.Level})
	}
	return tint.NewTextHandler(w, &tint.Options{
		Level:      c.Level,
		TimeFormat: time.TimeOnly,
		NoColor:    !isTerminal(w) || os.Getenv("NO_COLOR") != "",
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 && os.Getenv("JOURNAL_STREAM") != "" {
				return slog.Attr{}
			}
			if a.Value.Kind() == slog.KindTime { // as everywhere else: in the config's zone
				a.Value = slog.TimeValue(a.Value.Time().In(zone))
			}
			return a
		},
	})
}

func isTerminal(w io.Writer) bool {
	if g, ok := w.(*Gatherer); ok {
		w = g.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// How long lines wait for others, and how many bytes of them do.
const (
	gatherFor  = 10 * time.Millisecond
	gatherMost = 64 << 10
)

// Gatherer writes lines some milliseconds after they came, together with those
// that came since: the write of a line for each text was a twentieth of the CPU
// of sending it. A process that is killed, or that a panic ends, may lose the
// last of them; what became of bills and texts is in the store all the same.
type Gatherer struct {
	w io.Writer

	mu    sync.Mutex
	lines []byte
	timer *time.Timer // not nil while lines wait
	err   error       // of the last write
}

// Gather makes a Gatherer, whose last lines wait for Flush.
func Gather(w io.Writer) *Gatherer { return &Gatherer{w: w} }

// Write takes whole lines. The error is one of lines before them.
func (g *Gatherer) Write(lines []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = append(g.lines, lines...)
	switch {
	case len(g.lines) >= gatherMost:
		g.write()
	case g.timer == nil:
		g.timer = time.AfterFunc(gatherFor, g.Flush)
	}
	return len(lines), g.err
}

// Flush writes what was gathered.
func (g *Gatherer) Flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.write()
}

func (g *Gatherer) write() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	if len(g.lines) > 0 {
		_, g.err = g.w.Write(g.lines)
		g.lines = g.lines[:0]
	}
}

// urgent writes at once what is worth a warning, and all that led to it.
type urgent struct {
	slog.Handler

	gathered *Gatherer
}

func (u urgent) Handle(ctx context.Context, r slog.Record) error {
	err := u.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		u.gathered.Flush()
	}
	return err
}

func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.gathered}
}

func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.gathered}
}
