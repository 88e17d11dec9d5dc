package cli

import (
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
			if out.String() != tt.want {
				t.Errorf("it says %q, want %q", out.String(), tt.want)
			}
		})
	}
}
