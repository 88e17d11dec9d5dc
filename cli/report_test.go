package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// Texts that were given back stand in the totals as not sent; in the table, a
// row of nothing but noughts says nothing.
func TestReportTableLeavesOutWhatIsEmpty(t *testing.T) {
	back := store.TextCount{State: store.Refused, RefusedFor: reminder.Throttled, Texts: 2, Segments: 2}
	stage := store.ReminderCount{Group: store.Group{Stage: -3, Linked: true}, Outcome: reminder.Texted, Reminders: 1, NotFailed: 1, TooEarly: 1}
	for name, c := range map[string]struct {
		texts []store.TextCount
		sent  []store.ReminderCount
		want  string
	}{
		"beside another row": {[]store.TextCount{back}, []store.ReminderCount{stage}, "3 days before 1 0 0 0 0 0 -"},
		"alone":              {[]store.TextCount{back}, nil, "texts given back 0 0 0 0 0 0 -"},
		"without any":        {nil, []store.ReminderCount{stage}, "3 days before 1 0 0 0 0 0 -"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := &report{
				app: &app{stdout: &out}, period: store.Period{By: store.ByStage}, counts: store.NewReport(store.ByStage, time.UTC, nil),
			}
			for _, c := range c.texts {
				if err := r.counts.AddTexts(c); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range c.sent {
				if err := r.counts.AddReminders(c); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.table(); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
			if got := strings.Join(strings.Fields(strings.Join(lines, "; ")), " "); got != c.want {
				t.Errorf("the table has %q, want %q", got, c.want)
			}
			if len(c.texts) > 0 && r.counts.Total.NotSent != 2 {
				t.Errorf("%d not sent in all, want 2", r.counts.Total.NotSent)
			}
		})
	}
}
