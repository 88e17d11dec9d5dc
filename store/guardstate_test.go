package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

// An afternoon on which many texts are given back unsent, in flight or in doubt hides none
// of the failures before it from the guard, and is none: connections failed, not texts.
func TestTextsThatTheProviderDidNotJudgeAreNoFailures(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.Guards.MaxFailureRate, p.PerNumberDaily = 0.2, 1000
	ready(t, s, p, billsOf(400)...)
	decided := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1000)).Texts
	if len(decided) != 400 {
		t.Fatalf("%d texts", len(decided))
	}
	for i, x := range decided {
		o := SendOutcome{TextID: x.ID, State: Refused, Hold: reminder.ChangedMeanwhile, Until: firstStage}
		switch {
		case i < 20:
			o = SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + x.Parts[0].Account, NextPollAt: firstStage}
		case i < 60:
			o = SendOutcome{TextID: x.ID, State: Refused, Skip: reminder.TextRefused}
		case i < 100:
		case i < 140:
			o = SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}
		case i < 180:
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}))
			if got := lookUp(t, s, LookUp{TextID: x.ID, Last: true}); got != NotFound {
				t.Fatalf("after the look-up, the text is %s", got)
			}
			continue
		case i < 300:
			o.Hold = reminder.NotHandedOver
		default:
			continue // in flight
		}
		mustDo(t, s.RecordOutcome(firstStage, o))
	}
	now := firstStage.Add(time.Minute)
	st := must(s.GuardState(t.Context(), p, now))
	if st.Recent != 60 || st.Failed != 40 {
		t.Errorf("of %d texts %d failed, want 40 of 60", st.Recent, st.Failed)
	}
	foreseen := must(previewOf(t, s).GuardState(t.Context(), p, now))
	if foreseen.Recent != 60 || foreseen.Failed != 40 {
		t.Errorf("a preview knows of %d texts, of which %d failed", foreseen.Recent, foreseen.Failed)
	}
}
