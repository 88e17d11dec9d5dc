package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestProgressWithoutATerminal(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, read int64
		want       string
	}{
		{"a file", 1000, 500, "importing: 100 rows of about 200, 10s left (10 rows/s)\n"},
		{"a pipe", 0, 500, "importing: 100 rows (10 rows/s)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			p := newProgress(&out, "importing", tt.size)
			p.at(50, tt.read/2) // not yet
			p.began, p.next = p.began.Add(-10*time.Second), p.began
			p.at(100, tt.read)
			p.at(110, tt.read) // said just now
			p.clear()
			p.done()
			p.at(120, tt.read)
			if out.String() != tt.want {
				t.Errorf("it says %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// However narrow the terminal is, the line stays one, and says what is most
// worth knowing.
func TestProgressFitsTheTerminal(t *testing.T) {
	const all = 100_000_000 // bytes
	for _, tt := range []struct {
		width      int
		size, read int64
		took       time.Duration
		want       string
	}{
		{90, all, all / 2, 100 * time.Second, "[#####.....] importing: 4000000 rows of about 8000000, 1m40s left (40000 rows/s)"},
		{80, all, all / 2, 100 * time.Second, "importing: 4000000 rows of about 8000000, 1m40s left (40000 rows/s)"},
		{50, all, all / 2, 100 * time.Second, "[#####.....] importing: 4000000 rows, 1m40s left"},
		{40, all, all / 2, 100 * time.Second, "importing: 4000000 rows, 1m40s left"},
		{30, all, all / 2, 100 * time.Second, "importing: 50%, 1m40s left"},
		{10, all, all / 2, 100 * time.Second, "50%"},
		{3, all, all / 2, 100 * time.Second, "50"},
		{80, all, all / 2, 300 * time.Millisecond, "[#####.....] importing: 4000000 rows of about 8000000"}, // no rate yet
		{80, all, all, 100 * time.Second, "[##########] importing: 4000000 rows of about 4000000, 0s left (40000 rows/s)"},
		{80, 0, 5, 100 * time.Second, "importing: 4000000 rows (40000 rows/s)"},
		{20, 0, 5, 100 * time.Second, "4000000"},
	} {
		t.Run(fmt.Sprintf("%d of %d in %d columns after %s", tt.read, tt.size, tt.width, tt.took), func(t *testing.T) {
			var out strings.Builder
			p := newProgress(&out, "importing", tt.size)
			p.width = func() int { return tt.width }
			p.began, p.next = p.began.Add(-tt.took), p.began
			p.at(4_000_000, tt.read)
			if line := strings.TrimPrefix(out.String(), "\r"); line != tt.want {
				t.Errorf("%q, want %q", line, tt.want)
			}
			out.Reset()
			p.done()
			if want := "\r" + strings.Repeat(" ", len(tt.want)) + "\r"; out.String() != want {
				t.Errorf("the line is taken away by %q, want %q", out.String(), want)
			}
		})
	}
}

// A line that is shorter than the one before leaves nothing of it behind.
func TestProgressWritesOverTheLineBefore(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, "reading", 0)
	p.width = func() int { return 80 }
	for _, rows := range []int{1000, 10} { // as when work begins anew
		p.next = p.began
		p.at(rows, 0)
	}
	if want := "\rreading: 1000 rows\rreading: 10 rows  "; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
