package daemon

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"duewatch/config"
)

// NewLog writes JSON for programs, or lines for people: coloured on a terminal
// and without the time under systemd, whose journal has its own. Each line is
// written when it is made, so that none is lost when the process is killed.
func NewLog(w io.Writer, c config.Log, zone *time.Location) *slog.Logger {
	return slog.New(newHandler(w, c, zone))
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
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
