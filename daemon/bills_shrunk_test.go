package daemon

import "testing"

func TestAListShrankWhenItLostMoreThanItsShareAndMoreThanAFew(t *testing.T) {
	for name, tt := range map[string]struct {
		gone, of int
		share    float64
		want     bool
	}{
		"a file that was cut off":          {39, 40, .2, true},
		"all of them":                      {11, 11, .2, true},
		"ten of ten: a short list":         {10, 10, .2, false},
		"just the share":                   {20, 100, .2, false},
		"one more":                         {21, 100, .2, true},
		"few of many":                      {1_000_000, 10_000_000, .2, false},
		"nothing":                          {0, 0, .2, false},
		"off":                              {100, 100, 0, false},
		"all may go at once, as with 100%": {100, 100, 1, false},
	} {
		if got := shrank(tt.gone, tt.of, tt.share); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
