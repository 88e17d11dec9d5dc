package daemon

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"duewatch/config"
)

// Whoever is killed has written why: no line waits for others.
func TestEachLogLineIsWrittenWhenItIsMade(t *testing.T) {
	for _, format := range []string{config.LogText, config.LogJSON} {
		var out strings.Builder
		log := NewLog(&out, config.Log{Level: slog.LevelInfo, Format: format}, time.UTC)
		log.With("a", 1).WithGroup("g").Info("the last line", "b", 2)
		if !strings.Contains(out.String(), "the last line") || !strings.HasSuffix(out.String(), "\n") {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}
