package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// The bills of a service are counted otherwise than they are acted on: the
// figures are the same.
func TestADryRunCountsWhatTheActDoes(t *testing.T) {
	s, p := openNew(t), newPolicy()
	bills := billsOf(60)
	for i := range bills {
		bills[i].Service = "water"
		if i%10 == 9 {
			bills[i].Service = "rent"
		}
	}
	ready(t, s, p, bills[:50]...)
	must(s.Declare("config", bills, checkedAt)) // the last ten are pending
	later := checkedAt.Add(48 * time.Hour)
	for _, to := range []string{
		"state = 'rejected', failures = 1 WHERE id % 7 = 1",
		"state = 'removed' WHERE id % 7 = 2",
		"failures = 3 WHERE id % 3 = 0 AND state IN ('active', 'pending')",
		"state = 'paused', paused_at = 1 WHERE id % 11 = 3 AND state = 'active'",
	} {
		change(t, s, "UPDATE bills SET "+to)
	}
	for i := range 5 {
		must(s.Pause(t.Context(), actOn(Selector{Account: bills[3*i].Account}, checkedAt), Pause{Until: later.Add(time.Duration(i) * time.Hour)}))
	}
	for _, service := range []string{"water", "rent", "nobody's"} {
		for _, act := range []struct {
			name string
			do   func(BulkOp) (BulkResult, error)
		}{
			{"retry", func(a BulkOp) (BulkResult, error) { return s.Retry(t.Context(), a) }},
			{"pause", func(a BulkOp) (BulkResult, error) {
				return s.Pause(t.Context(), a, Pause{Until: later.Add(2 * time.Hour)})
			}},
			{"pause again", func(a BulkOp) (BulkResult, error) {
				return s.Pause(t.Context(), a, Pause{Until: later.Add(2 * time.Hour)})
			}},
			{"pause for good", func(a BulkOp) (BulkResult, error) { return s.Pause(t.Context(), a, Pause{}) }},
			{"resume", func(a BulkOp) (BulkResult, error) { return s.Resume(t.Context(), a, policiesOf(p)) }},
			{"resume again", func(a BulkOp) (BulkResult, error) { return s.Resume(t.Context(), a, policiesOf(p)) }},
		} {
			a := actOn(Selector{Service: service}, checkedAt)
			a.DryRun = true
			foreseen := must(act.do(a))
			a.DryRun = false
			if diff := cmp.Diff(must(act.do(a)), foreseen); diff != "" {
				t.Errorf("%s of %s: (-done +foreseen)\n%s", act.name, service, diff)
			}
			if service == "water" && act.name != "pause again" && act.name != "resume again" && foreseen.Done == 0 {
				t.Errorf("%s of %s does nothing", act.name, service)
			}
			if left := foreseen.Left[reminder.BillRemoved]; service == "water" && left == 0 {
				t.Errorf("%s of %s leaves no removed bill alone", act.name, service)
			}
		}
	}
}
