package scheduler

import "testing"

func TestRoundsAreOfTwoSeconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond    float64
		round, ahead int
	}{
		{0.1, 1, 1},
		{0.4, 6, 6},
		{1, 8, 8},
		{30, 60, 60},
		{255.5, 512, 512},
		{512, 512, 512},
		{700, 512, 700},
		{100_000, 512, 1024},
	} {
		if p := newRoundSizes(c.perSecond); p.bills != c.round || p.ahead != c.ahead {
			t.Errorf("%v segments a second: rounds of %d, decided with %d in doubt, want %d and %d", c.perSecond, p.bills, p.ahead, c.round, c.ahead)
		}
	}
}
