package store

import (
	"os"
	"testing"
	"time"

	"duewatch/reminder"
)

// trimAll trims as the housekeeping job does, and bounds how long that takes.
func trimAll(t *testing.T, s *Store, cutoff time.Time, n int) (total int64) {
	t.Helper()
	for range 1000 {
		deleted := must(s.Trim(cutoff, n))
		if deleted == 0 {
			return total
		}
		total += deleted
	}
	t.Fatal("it does not end")
	return 0
}

func TestTrimForgetsWhatIsOld(t *testing.T) {
	for _, n := range []int{1, 3, 1000} {
		s, p := openNew(t), newPolicy()
		ready(t, s, p, billsOf(9)...)
		for _, x := range must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts {
			mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + string(rune('0'+x.ID))}))
		}
		// One moment before they are old enough nothing of this due date goes.
		trimAll(t, s, firstStage, n)
		if texts, reminders := number(t, s, "SELECT count(*) FROM texts"), number(t, s, "SELECT count(*) FROM reminders"); texts != 9 || reminders != 9 {
			t.Errorf("%d at a time: %d texts and %d reminders are left too early, want 9", n, texts, reminders)
		}
		trimAll(t, s, due.AddDays(2).At(0, nairobi), n)
		for _, table := range []string{"events", "reminders", "texts"} {
			if got := number(t, s, "SELECT count(*) FROM "+table); got != 0 {
				t.Errorf("%d at a time: %d %s are left", n, got, table)
			}
		}
		if got := number(t, s, "SELECT count(*) FROM bills WHERE state = 'active' AND balance IS NOT NULL"); got != 9 {
			t.Errorf("%d bills are left", got)
		}
		quiet(t, s, func() { trimAll(t, s, due.AddDays(2).At(0, nairobi), n) })
	}
}

func TestTrimKeepsWhatIsNeeded(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(4)...)
	texts := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts
	for i, state := range []TextState{Sending, Unknown, Accepted, Refused} {
		o := SendOutcome{TextID: texts[i].ID, State: state, ProviderID: "SM" + string(rune('0'+i))}
		if state == Refused {
			o.Hold, o.Until = reminder.AccountFault, firstStage.Add(time.Hour)
		}
		if state != Sending {
			mustDo(t, s.RecordOutcome(firstStage, o))
		}
	}
	old := firstStage.AddDate(1, 0, 0)
	// A bill whose due date lies ahead still needs its record: without it the
	// stage would be texted again.
	change(t, s, "UPDATE reminders SET due_date = '2028-01-01' WHERE bill_id = 3")
	trimAll(t, s, old, 100)
	if got := list(t, s, "SELECT state FROM texts ORDER BY id"); got != "sending,unknown,accepted" {
		t.Errorf("texts that are left: %s", got)
	}
	if got := list(t, s, "SELECT due_date FROM reminders"); got != "2028-01-01" {
		t.Errorf("reminders that are left: %s", got)
	}
}

// Texts that stay in doubt for years must not shield the ones behind them.
func TestTrimGoesBehindWhatItKeeps(t *testing.T) {
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(6)...)
	for i, x := range must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)).Texts {
		o := SendOutcome{TextID: x.ID, State: Unknown}
		if i >= 3 {
			o = SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + string(rune('0'+i))}
		}
		mustDo(t, s.RecordOutcome(firstStage, o))
	}
	trimAll(t, s, firstStage.AddDate(1, 0, 0), 2)
	if got := number(t, s, "SELECT count(*) FROM texts"); got != 3 {
		t.Errorf("%d texts are left, want the 3 in doubt", got)
	}
}

func TestTidyShortensTheLog(t *testing.T) {
	aboutFiles(t)
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(50)...)
	wal := pathOf(t, s) + "-wal"
	if info := must(os.Stat(wal)); info.Size() == 0 {
		t.Fatal("nothing to shorten")
	}
	mustDo(t, s.Tidy(t.Context()))
	if info := must(os.Stat(wal)); info.Size() != 0 {
		t.Errorf("the log is %d bytes long", info.Size())
	}
	mustDo(t, s.Check(t.Context()))
}

func TestMeta(t *testing.T) {
	s := openNew(t)
	if got := must(s.Meta(t.Context(), "key")); got != "" {
		t.Errorf("never set, it is %q", got)
	}
	for _, v := range []string{"one", "two", ""} {
		mustDo(t, s.SetMeta("key", v))
		if got := must(s.Meta(t.Context(), "key")); got != v {
			t.Errorf("it is %q, want %q", got, v)
		}
	}
	for _, step := range []struct{ key, was, value, want string }{
		{"another", "", "one", "one"}, // it was not there
		{"another", "one", "two", "two"},
		{"another", "one", "three", "two"}, // somebody has written meanwhile
	} {
		mustDo(t, s.ReplaceMeta(step.key, step.was, step.value))
		if got := must(s.Meta(t.Context(), step.key)); got != step.want {
			t.Errorf("%+v: it is %q", step, got)
		}
	}
	mustDo(t, s.Writable(checkedAt))
}
