package notifier

import (
	"fmt"
	"testing"
)

// Each code that Twilio documents for texts, by what has to be done about it.
func TestClassOf(t *testing.T) {
	for class, codes := range map[Class][]int{
		"":            {0},
		BadNumber:     {21211, 21214, 21217, 21604, 21614, 21635, 30005, 30006},
		OptedOut:      {21610},
		BadText:       {21602, 21617, 21618, 21620, 30007, 30019},
		Account:       {20003, 20005, 10001, 20404, 21212, 21601, 21603, 21607, 21701, 21704, 21705, 30002, 30044},
		Destination:   {21408, 21606, 21608, 21612, 21657, 21659, 21703, 30018, 30032, 30034},
		SlowDown:      {20429, 21611, 63017, 30001, 30022, 30023},
		SlowDownPhone: {14107},
		UntilTomorrow: {63038},
		TryLater:      {30003, 30450, 30500, 30036},
		TryOnce:       {30004},
		MaybeHasIt:    {30008, 30410},
		Unlisted:      {10000, 21999, 39999, 99999},
	} {
		for _, code := range codes {
			if got := ClassOf(code); got != class {
				t.Errorf("%d: class %q, want %q", code, got, class)
			}
			if (Describe(code) == "") != (code == 0) {
				t.Errorf("%d: described as %q", code, Describe(code))
			}
		}
	}
}

func TestClassify(t *testing.T) {
	tests := []struct {
		status, code int
		outcome      Acceptance
		class        Class
	}{
		{400, 21211, Refused, BadNumber},
		{400, 21610, Refused, OptedOut},
		{403, 21610, Refused, OptedOut},
		{400, 21617, Refused, BadText},
		{400, 21606, Refused, Destination},
		{403, 21408, Refused, Destination},
		{400, 20003, Refused, Account},
		{401, 0, Refused, Account},
		{401, 21211, Refused, Account},
		{403, 0, Unknown, Destination},
		{403, 20003, Refused, Account},
		{403, 99999, Refused, Destination},
		{400, 99999, Refused, Unlisted},
		{422, 99999, Refused, Unlisted},
		{400, 30003, Refused, TryLater},
		{400, 21611, Throttled, SlowDown},
		{400, 14107, Throttled, SlowDownPhone},
		{429, 14107, Throttled, SlowDownPhone},
		{403, 63038, Throttled, UntilTomorrow},
		{400, 20429, Throttled, SlowDown},
		{429, 0, Throttled, SlowDown},
		{429, 20003, Throttled, SlowDown},
		{429, 63038, Throttled, UntilTomorrow},
		{400, 0, Unknown, ""},
		{404, 0, Unknown, ""},
		{408, 21211, Unknown, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d with %d", tt.status, tt.code), func(t *testing.T) {
			if outcome, class := classify(tt.status, tt.code); outcome != tt.outcome || class != tt.class {
				t.Errorf("%q, %q; want %q, %q", outcome, class, tt.outcome, tt.class)
			}
		})
	}
}

// Whatever the answer: what is not a 4xx is never a definite no, and without
// a code of Twilio's only 401 and 429 are.
func TestNothingIsCertainWithoutProof(t *testing.T) {
	for status := range 1000 {
		for code := range codes {
			if outcome, _ := classify(status, code); outcome != Unknown && (status < 400 || status > 499 || status == 408) {
				t.Errorf("%d with %d is %q", status, code, outcome)
			}
		}
		if outcome, _ := classify(status, 0); outcome != Unknown && status != 401 && status != 429 {
			t.Errorf("%d without a code is %q", status, outcome)
		}
		if outcome, _ := classify(status, 0); outcome == Accepted || outcome == NotSent {
			t.Errorf("%d is %q", status, outcome)
		}
	}
}
