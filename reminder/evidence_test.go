package reminder

import "testing"

func TestEvidence(t *testing.T) {
	type step struct {
		witness string // "" = one was served well
		enough  bool
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"one bill speaks for itself, however often", []step{{"a", false}, {"a", false}, {"a", false}, {"a", false}}},
		{"two may be odd in the same way", []step{{"a", false}, {"b", false}, {"a", false}}},
		{"three different ones speak for all", []step{{"a", false}, {"b", false}, {"c", true}, {"a", true}}},
		{"nothing counts that was before a good one", []step{{"a", false}, {"b", false}, {"", false}, {"c", false}, {"a", false}, {"b", true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Evidence
			for i, s := range c.steps {
				if s.witness == "" {
					e.Clear()
					continue
				}
				if got := e.Against(s.witness); got != s.enough {
					t.Errorf("step %d, %s: enough is %t, want %t", i+1, s.witness, got, s.enough)
				}
			}
		})
	}
}
