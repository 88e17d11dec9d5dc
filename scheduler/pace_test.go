package scheduler

import (
	"testing"
	"time"

	"duewatch/store"
)

// What came late leaves within the daemon's own part of the rate, and not at all in a turn that
// others may have by now. One that is alone has no others, and asks the store for nothing.
func TestATextThatComesLaterThanItsTurn(t *testing.T) {
	t.Parallel()
	const perSecond, senders = 90, 8
	for _, c := range []struct {
		name    string
		daemons int
		late    time.Duration
		texts   int // of so many
		atOnce  int // this many leave at once,
		later   int // this many within a second,
		lost    int // and the others have to have another turn
	}{
		{"a busy machine", 3, 50 * time.Millisecond, 100, 100, 0, 0},
		{"a provider that stood still", 3, 900 * time.Millisecond, 100, senders, 30, 100 - senders - 30},
		{"others may have its turn", 3, 2 * time.Second, 10, 0, 0, 10},
		{"it is alone", 1, 20 * time.Second, 100, senders, 90, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newWaitingPacer(perSecond, senders, nil)
			p.shareRate(c.daemons)
			var atOnce, later, lost int
			for range c.texts {
				switch wait, gone := p.whenLate(&store.Text{Segments: 1, Turn: time.Now().Add(-c.late)}); {
				case gone:
					lost++
				case wait == 0:
					atOnce++
				case wait <= time.Second:
					later++
				}
			}
			const slack = 8 // for the time that this takes on a busy machine
			near := func(got, want int) bool { return got >= want-slack && got <= want+slack }
			if !near(atOnce, c.atOnce) || !near(later, c.later) || !near(lost, c.lost) {
				t.Errorf("%d at once, %d later, %d lost, want %d, %d, %d", atOnce, later, lost, c.atOnce, c.later, c.lost)
			}
		})
	}
}

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
