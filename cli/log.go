package cli

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"duewatch/config"
)

// newLog writes JSON for programs, or lines for people: coloured on a terminal
// and without the time under systemd, whose journal has its own.
func newLog(w io.Writer, c config.Log, zone *time.Location) *slog.Logger {
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.Level}))
	}
	f, ok := w.(*os.File)
	terminal := ok && term.IsTerminal(int(f.Fd()))
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      c.Level,
		TimeFormat: time.TimeOnly,
		NoColor:    !terminal || os.Getenv("NO_COLOR") != "",
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 && os.Getenv("JOURNAL_STREAM") != "" {
				return slog.Attr{}
			}
			if a.Value.Kind() == slog.KindTime { // as everywhere else: in the config's zone
				a.Value = slog.TimeValue(a.Value.Time().In(zone))
			}
			return a
		},
	}))
}
