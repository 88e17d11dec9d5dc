package daemon

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// What the provider refuses to one phone is named where the operator looks: who,
// why, what to do about it, and how to go on.
func TestARefusedDestinationIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	now := time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC)
	problems := Problems{Store: s, Policy: &reminder.Policy{Zone: time.UTC}, Now: func() time.Time { return now }}
	name := func(string) string { return "Nairobi Water" }
	after := []time.Duration{2 * time.Minute, 15 * time.Minute}
	if said, err := problems.Provider(t.Context(), after, name); err != nil || len(said) > 0 {
		t.Errorf("with nothing refused: %q, %v", said, err)
	}
	said := destinationSentence(store.Destination{
		Phone: "+254710000001", Service: "17", Account: "4417", Code: 21608, Detail: "a trial account may text verified numbers only: verify the number",
	}, name)
	for _, part := range []string{"Nairobi Water account 4417", "+2547******01", "21608", "verify the number"} {
		if !strings.Contains(said, part) {
			t.Errorf("%q does not say %q", said, part)
		}
	}
	if strings.Contains(said, "254710000001") {
		t.Error("it gives the phone away")
	}
	if said := destinationSentence(store.Destination{Country: "+256", Code: 21408, Detail: "no"}, name); !strings.Contains(said, "all phones of +256 (code 21408)") {
		t.Errorf("of a country: %q", said)
	}
}

// The hour at which a stop ends has its day when that is not today, and each stop
// says how it is released.
func TestTheEndOfAStopHasItsDay(t *testing.T) {
	now := time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC)
	problems := Problems{Policy: &reminder.Policy{Zone: time.UTC}, Now: func() time.Time { return now }}
	for until, want := range map[time.Time]string{
		now.Add(time.Hour):      "it is tried again at 10:00, or by duewatch release --reason throttled",
		now.Add(24 * time.Hour): "it is tried again at 10 Mar 09:00, or by duewatch release --reason throttled",
		{}:                      "; duewatch release --reason throttled lets it go on",
	} {
		got := problems.Stop(store.Stopped{Stop: reminder.Stop{Reason: reminder.Throttled, Until: until, Detail: "why"}})
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}
