package store

import (
	"testing"
	"time"

	"duewatch/reminder"
)

// What a copy of this store has sent is a text of the phone's day.
func TestATextSentElsewhereCountsForThePhone(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   time.Time
		want string
	}{
		{"today", firstStage.Add(-time.Hour), "3 days before, held, daily_cap"},
		{"yesterday", firstStage.Add(-24 * time.Hour), "3 days before, texted, on_schedule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openNew(t), newPolicy()
			p.PerNumberDaily = 1
			bills := billsOf(2)
			bills[1].Phone = bills[0].Phone
			ready(t, s, p, bills...)
			change(t, s, "DELETE FROM due_remind WHERE bill_id = 2")
			stop := reminder.Stop{Reason: reminder.CopiedStore}
			must(s.RecordForeignMessages(tt.at, []ForeignMessage{{"SM1", 2, tt.at}, {"SM1", 2, tt.at}}, stop))
			mustDo(t, s.EndStop(stop.Reason))
			must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1))
			wantRecorded(t, s, 1, tt.want)
		})
	}
}
