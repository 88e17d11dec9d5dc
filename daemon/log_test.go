package daemon

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// streamOf is what systemd would name a file in JOURNAL_STREAM.
func streamOf(t *testing.T, f *os.File) string {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("%T", info.Sys())
	}
	return fmt.Sprintf("%d:%d", is.Dev, is.Ino)
}

// journalctl -p err finds errors only if each line says its priority.
func TestLinesOfTheJournalHaveTheirPriority(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Create(t.TempDir() + "/other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // a test's
	write := func(f *os.File, format string) {
		log := NewLog(f, config.Log{Level: slog.LevelDebug, Format: format}, time.UTC).With("job", "remind")
		log.Error("it fails")
		log.WithGroup("g").Warn("two\nlines", "of", 2)
		log.Info("it runs")
		log.Debug("it rests")
	}
	t.Setenv("JOURNAL_STREAM", streamOf(t, w))
	write(w, config.LogText)
	write(w, config.LogJSON)
	write(other, config.LogText) // of the same unit, and no stream of the journal's
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		got = append(got, lines.Text())
	}
	if len(got) != 9 {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	want := []string{"<3>ERR it fails job=remind", "<4>WRN two", "<4>lines job=remind g.of=2", "<6>INF it runs job=remind", "<7>DBG it rests job=remind"}
	if diff := cmp.Diff(want, got[:5]); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for i, prefix := range []string{`<3>{"time":`, `<4>{"time":`, `<6>{"time":`, `<7>{"time":`} {
		if !strings.HasPrefix(got[5+i], prefix) {
			t.Errorf("%q does not begin with %q", got[5+i], prefix)
		}
	}
	b, err := os.ReadFile(other.Name())
	if err != nil || strings.Contains(string(b), "<") || !strings.Contains(string(b), "ERR it fails") {
		t.Errorf("elsewhere: %q, %v", b, err)
	}
}
