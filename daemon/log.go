package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"duewatch/config"
)

// NewLog writes JSON for programs, or lines for people: coloured on a terminal,
// and in the journal with its priorities and without the time, of which it has its own.
// Each line is written when it is made, so that none is lost when the process is killed.
func NewLog(w io.Writer, c config.Log, zone *time.Location) *slog.Logger {
	if isJournal(w, os.Getenv("JOURNAL_STREAM")) {
		return slog.New(newJournalHandler(w, c, zone))
	}
	return slog.New(newHandler(w, c, zone, true))
}

func newHandler(w io.Writer, c config.Log, zone *time.Location, withTime bool) slog.Handler {
	if c.Format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.Level})
	}
	return tint.NewTextHandler(w, &tint.Options{
		Level:      c.Level,
		TimeFormat: time.TimeOnly,
		NoColor:    !isTerminal(w) || os.Getenv("NO_COLOR") != "",
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 && !withTime {
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
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// isJournal reports whether w is the stream that systemd has connected with the journal:
// the one of that device and inode (systemd.exec(5), JOURNAL_STREAM). The variable alone
// says nothing, since a child of the unit may write elsewhere.
func isJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", is.Dev, is.Ino)
}

// priorities are the levels of the log, each with its number in the journal
// (sd-daemon(3)), so that `journalctl -p warning` finds what it should.
var priorities = [...]struct {
	from   slog.Level
	prefix string
}{
	{slog.LevelError, "<3>"},
	{slog.LevelWarn, "<4>"},
	{slog.LevelInfo, "<6>"},
	{slog.LevelDebug, "<7>"},
}

// journalHandler is a handler for each of priorities.
type journalHandler [len(priorities)]slog.Handler

func newJournalHandler(w io.Writer, c config.Log, zone *time.Location) (h journalHandler) {
	mu := new(sync.Mutex)
	for i, p := range priorities {
		h[i] = newHandler(prefixed{mu, w, p.prefix}, c, zone, false)
	}
	return h
}

func (h journalHandler) of(level slog.Level) slog.Handler {
	for i, p := range priorities {
		if level >= p.from {
			return h[i]
		}
	}
	return h[len(h)-1]
}

// Enabled is slog.Handler's.
func (h journalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.of(level).Enabled(ctx, level)
}

// Handle is slog.Handler's.
func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i := range h { // h is a copy
		h[i] = h[i].WithAttrs(attrs)
	}
	return h
}

// WithGroup is slog.Handler's.
func (h journalHandler) WithGroup(name string) slog.Handler {
	for i := range h {
		h[i] = h[i].WithGroup(name)
	}
	return h
}

// prefixed puts a priority before each line. The handlers make one write of a record,
// which a message may break into lines.
type prefixed struct {
	mu     *sync.Mutex
	to     io.Writer
	prefix string
}

func (p prefixed) Write(record []byte) (int, error) {
	var out []byte
	for line := range bytes.Lines(record) {
		out = append(append(out, p.prefix...), line...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.to.Write(out); err != nil {
		return 0, err
	}
	return len(record), nil
}
