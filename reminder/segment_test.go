package reminder

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestCountAgreesWithTwilio reads rows of text (as JSON), encoding and
// segments, as counted by Twilio's own segment calculator.
func TestCountAgreesWithTwilio(t *testing.T) {
	raw, err := os.ReadFile("testdata/segments.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		columns := strings.Split(line, "\t")
		if len(columns) != 3 {
			t.Fatalf("line %d has %d columns, want 3", i+1, len(columns))
		}
		var body string
		if err := json.Unmarshal([]byte(columns[0]), &body); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		segments, err := strconv.Atoi(columns[2])
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if got := Count(body); got.Encoding != columns[1] || got.Segments != segments {
			t.Errorf("line %d: Count(%q) = %+v, want %s in %d segments", i+1, body, got, columns[1], segments)
		}
	}
}

func TestCount(t *testing.T) {
	tests := map[string]struct {
		body string
		want SegmentCount
	}{
		"empty":                     {"", SegmentCount{"GSM-7", 0, 0, 0}},
		"newline":                   {"a\nb", SegmentCount{"GSM-7", 1, 3, 0}},
		"extended costs two":        {"{}", SegmentCount{"GSM-7", 1, 4, 0}},
		"euro costs two":            {"€5", SegmentCount{"GSM-7", 1, 3, 0}},
		"form feed costs two":       {"\f", SegmentCount{"GSM-7", 1, 2, 0}},
		"backtick forces":           {"a`b", SegmentCount{"UCS-2", 1, 3, '`'}},
		"tab forces":                {"a\tb", SegmentCount{"UCS-2", 1, 3, '\t'}},
		"small c cedilla forces":    {"Çç", SegmentCount{"UCS-2", 1, 2, 'ç'}},
		"capital sigma does not":    {"Σ", SegmentCount{"GSM-7", 1, 1, 0}},
		"small sigma forces":        {"σ", SegmentCount{"UCS-2", 1, 1, 'σ'}},
		"emoji is two units":        {"ok 😀", SegmentCount{"UCS-2", 1, 5, '😀'}},
		"first offender is named":   {"é – “", SegmentCount{"UCS-2", 1, 5, '–'}},
		"broken UTF-8 is a unit":    {"a\xff", SegmentCount{"UCS-2", 1, 2, utf8.RuneError}},
		"pair at 70 of several":     {strings.Repeat("ж", 66) + "😀", SegmentCount{"UCS-2", 1, 68, 'ж'}},
		"one curly quote, 2 prices": {strings.Repeat("a", 159) + "’", SegmentCount{"UCS-2", 3, 160, '’'}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Count(tt.body)); diff != "" {
				t.Errorf("Count(%q) (-want +got):\n%s", tt.body, diff)
			}
		})
	}
}

func TestGSMAlphabetHasItsSize(t *testing.T) {
	if n := utf8.RuneCountInString(gsmBasic); n != 127 { // 128 less the escape
		t.Errorf("basic alphabet has %d characters, want 127", n)
	}
	if n := utf8.RuneCountInString(gsmExtended); n != 10 {
		t.Errorf("extension table has %d characters, want 10", n)
	}
}

// slowCount is the rule as the standard words it, one segment at a time.
func slowCount(body string) SegmentCount {
	encoding, single, multi := "GSM-7", 160, 153
	cost := func(r rune) int {
		if strings.ContainsRune(gsmExtended, r) {
			return 2
		}
		return 1
	}
	var forcing rune
	for _, r := range body {
		if !strings.ContainsRune(gsmBasic+gsmExtended, r) {
			encoding, single, multi, forcing = "UCS-2", 70, 67, r
			cost = func(r rune) int { return max(1, utf16.RuneLen(r)) }
			break
		}
	}
	var costs []int
	units := 0
	for _, r := range body {
		costs = append(costs, cost(r))
		units += cost(r)
	}
	if units <= single {
		return SegmentCount{encoding, min(1, units), units, forcing}
	}
	segments := 0
	for len(costs) > 0 {
		room := multi
		for len(costs) > 0 && costs[0] <= room {
			room -= costs[0]
			costs = costs[1:]
		}
		segments++
	}
	return SegmentCount{encoding, segments, units, forcing}
}

func FuzzCount(f *testing.F) {
	for _, s := range []string{"", "a", "é", "ж", "😀", "[", "€", "\xff", strings.Repeat("a", 152) + "[]", strings.Repeat("ж", 66) + "😀ж"} {
		f.Add(s, "a")
		f.Add(s, "😀")
	}
	f.Fuzz(func(t *testing.T, body, more string) {
		got := Count(body)
		if diff := cmp.Diff(slowCount(body), got); diff != "" {
			t.Fatalf("Count(%q) (-slow +got):\n%s", body, diff)
		}
		if got.Units < utf8.RuneCountInString(body) {
			t.Fatalf("Count(%q): %d units for more characters", body, got.Units)
		}
		if (got.Forcing != 0) != (got.Encoding == "UCS-2") && !strings.ContainsRune(body, 0) {
			t.Fatalf("Count(%q) = %+v: forcing and encoding disagree", body, got)
		}
		longer := Count(body + more)
		switch {
		case longer.Segments < got.Segments:
			t.Fatalf("%q has %d segments, and with %q added %d", body, got.Segments, more, longer.Segments)
		case longer.Encoding == got.Encoding && longer.Segments > got.Segments+slowCount(more).Units+1:
			t.Fatalf("%q has %d segments, and with %q added %d", body, got.Segments, more, longer.Segments)
		}
	})
}
