package store

import (
	"testing"
	"time"
)

// What is on its way to the provider just now is in no doubt.
func TestReportTellsBeingSentFromInDoubt(t *testing.T) {
	r := NewReport(ByNothing, time.UTC, nil)
	for state, n := range map[TextState]int{Sending: 3, Unknown: 2} {
		mustDo(t, r.AddTexts(TextCount{State: state, Texts: n}))
	}
	if r.Total.BeingSent != 3 || r.Total.InDoubt != 2 || r.Total.HandedOver() != 0 {
		t.Errorf("%d are being sent, %d in doubt and %d handed over, want 3, 2 and 0", r.Total.BeingSent, r.Total.InDoubt, r.Total.HandedOver())
	}
}
