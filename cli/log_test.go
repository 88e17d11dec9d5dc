package cli

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/config"
)

// counted counts the writes of lines.
type counted struct {
	mu     sync.Mutex
	lines  strings.Builder
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.lines.Write(p)
}

func (c *counted) written() (lines string, writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines.String(), c.writes
}

func TestLinesAreGathered(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		synctest.Test(t, func(t *testing.T) {
			var out counted
			lines := Gather(&out)
			log := NewLog(lines, config.Log{Level: slog.LevelInfo, Format: format}, time.UTC)
			want := func(writes int, last string) {
				t.Helper()
				got, n := out.written()
				got = strings.TrimSpace(got)
				if n != writes || !strings.Contains(got[strings.LastIndex(got, "\n")+1:], last) {
					t.Errorf("%s: %d writes instead of %d, and not %q at the end: %q", format, n, writes, last, got)
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
			text, _ := out.written()
			for i, word := range order {
				if at := strings.Index(text, word); at < 0 || i > 0 && at < strings.Index(text, order[i-1]) {
					t.Errorf("%s: %q is lost, or out of its place", format, word)
				}
			}
		})
	}
}
