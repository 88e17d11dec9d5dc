package scheduler

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// logged is one line of the log of a run. It is put into words only when
// somebody wants to read it: almost all runs are never read.
type logged struct {
	at     time.Time
	format string
	args   []any
	record *slog.Record // or else
	attrs  []slog.Attr
}

// say writes into the log of the run what befell the daemon.
func (s *sim) say(format string, args ...any) { s.keep(logged{format: format, args: args}) }

func (s *sim) keep(l logged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.at = s.trueNow()
	s.log = append(s.log, l)
}

// logLines is the log in words.
func (s *sim) logLines() []string {
	s.mu.Lock()
	log := slices.Clone(s.log)
	s.mu.Unlock()
	lines := make([]string, len(log))
	var text bytes.Buffer
	words := slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	for i, l := range log {
		said := fmt.Sprintf(l.format, l.args...)
		if l.record != nil {
			text.Reset()
			_ = words.WithAttrs(l.attrs).Handle(context.Background(), *l.record) // into memory
			said = "   " + strings.TrimSpace(text.String())
		}
		lines[i] = l.at.In(s.zone).Format("01-02 15:04:05.000") + " " + said
	}
	return lines
}

func (s *sim) logger() *slog.Logger { return slog.New(simLogger{s, nil}) }

// simLogger takes the daemon's own log.
type simLogger struct {
	sim   *sim
	attrs []slog.Attr
}

func (l simLogger) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (l simLogger) Handle(_ context.Context, r slog.Record) error {
	r = r.Clone()
	l.sim.keep(logged{record: &r, attrs: l.attrs})
	return nil
}

func (l simLogger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return simLogger{l.sim, append(slices.Clip(l.attrs), attrs...)}
}

func (l simLogger) WithGroup(string) slog.Handler { return l } // the daemon has none

// simReported counts the failed runs of this process; of the first simTellAll the
// log is shown.
var simReported atomic.Int32

const simReportAll = 3

// reportFindings reports what was found, with the way to find it again.
func (s *sim) reportFindings(t *testing.T) {
	t.Helper()
	if *simLog {
		t.Log("\n" + strings.Join(s.logLines(), "\n"))
	}
	if len(s.wrong) == 0 {
		return
	}
	for _, w := range s.wrong {
		t.Errorf("seed %d: %s", s.seed, w)
	}
	if told := simReported.Add(1); told > simReportAll {
		t.Errorf("again: go test ./scheduler -run 'TestSimulation/seed=%d$' -seed=%d -seeds=1", s.seed, s.seed)
		return
	}
	t.Errorf("again: go test ./scheduler -run 'TestSimulation/seed=%d$' -seed=%d -seeds=1 [-simlog]\n%s\n%s",
		s.seed, s.seed, s.settings(), strings.Join(s.excerpt(), "\n"))
}

// excerpt is the log, without what concerns only bills that fared well.
func (s *sim) excerpt() []string {
	const most = 400
	var out []string
	for _, line := range s.logLines() {
		other := false
		for _, b := range s.bills {
			other = other || (!s.suspects[b.Account] && strings.Contains(line, b.Account))
		}
		if !other {
			out = append(out, line)
		}
	}
	if len(out) > most {
		out = append([]string{fmt.Sprintf("(%d lines before: -simlog shows all)", len(out)-most)}, out[len(out)-most:]...)
	}
	return out
}
