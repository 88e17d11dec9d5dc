package cli

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/config"
)

// counted counts the writes of lines.
type counted struct {
	bytes.Buffer

	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}

func TestLinesAreGathered(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		synctest.Test(t, func(t *testing.T) {
			var out counted
			lines := Gather(&out)
			log := NewLog(lines, config.Log{Level: slog.LevelInfo, Format: format}, time.UTC)
			want := func(writes int, last string) {
				t.Helper()
				if got := strings.TrimSpace(out.String()); out.writes != writes || !strings.Contains(got[strings.LastIndex(got, "\n")+1:], last) {
					t.Errorf("%s: %d writes instead of %d, and not %q at the end: %q", format, out.writes, writes, last, got)
				}
			}
			log.Info("one")
			log.With("a", 1).WithGroup("g").Info("two")
			want(0, "")
			<-time.After(gatherFor)
			synctest.Wait()
			want(1, "two")

			log.Info("three")
			log.With("a", 1).Warn("four") // at once, and what came before it
			want(2, "four")

			log.Info("five")
			lines.Flush()
			want(3, "five")
			<-time.After(time.Second)
			synctest.Wait()
			want(3, "five") // and once

			log.Info(strings.Repeat("x", gatherMost))
			want(4, "xxx")
			order := []string{"one", "two", "three", "four", "five", "xxx"}
			text := out.String()
			for i, word := range order {
				if at := strings.Index(text, word); at < 0 || i > 0 && at < strings.Index(text, order[i-1]) {
					t.Errorf("%s: %q is lost, or out of its place", format, word)
				}
			}
		})
	}
}
