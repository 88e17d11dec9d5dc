package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
	"duewatch/store/db"
)

// A round reads and writes many bills by one statement. What it decides is what
// it would decide about one bill after the other: of bills that share a phone,
// too, and of those that want one by one.
func TestManyBillsAreDecidedLikeOneAfterTheOther(t *testing.T) {
	const n = 90
	for name, prepare := range map[string]func(*reminder.Policy) []reminder.Bill{
		"each its own phone": func(*reminder.Policy) []reminder.Bill { return billsOf(n) },
		"some share a phone": func(p *reminder.Policy) []reminder.Bill {
			p.PerNumberDaily = 2
			return sharing(n, 7)
		},
		"some share a text": func(p *reminder.Policy) []reminder.Bill {
			p.Bundle, p.BundleDays = true, 2
			return sharing(n, 25)
		},
		"some have the same words": func(p *reminder.Policy) []reminder.Bill {
			p.PerNumberDaily, p.ServiceName = 9, ""
			bills := billsOf(n)
			for i := range bills[:20] {
				bills[i] = billOf(i / 2)
				bills[i].Service = []string{"water", "power"}[i%2]
			}
			return bills
		},
		"one cannot be read": func(*reminder.Policy) []reminder.Bill { return billsOf(n) },
		"a guard holds the last": func(p *reminder.Policy) []reminder.Bill {
			p.Guards.MaxTextsPerDay = n - 15
			return billsOf(n)
		},
		"the month's budget ends": func(p *reminder.Policy) []reminder.Bill {
			p.Guards.MonthlySegments = 30
			return billsOf(n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var facts [2][]string
			for i, n := range []int{1000, 1} {
				s, p := openNew(t), newPolicy()
				bills := ready(t, s, p, prepare(p)...)
				must(s.AddOptOuts(OptOut{Phone: bills[3].Phone, Service: "water", Reason: reminder.OptedOut, Since: checkedAt, Source: "operator", Who: "x"}))
				must(s.Pause(t.Context(), BulkOp{Selector: Selector{Account: bills[5].Account}, At: checkedAt, Who: "x"}, Pause{Until: firstStage.Add(-time.Minute)}))
				change(t, s, "UPDATE bills SET balance = '0' WHERE id = 9")
				change(t, s, "UPDATE bills SET balance_at = 0 WHERE id = 11")
				if name == "one cannot be read" { // all are decided one after the other then
					change(t, s, "UPDATE bills SET balance = 'rubbish' WHERE id = 13")
				}
				for evaluated := 1; evaluated > 0; {
					evaluated = must(s.DecideDue(t.Context(), roundAt(p, firstStage), n)).Bills
				}
				facts[i] = written(t, s)
			}
			if diff := cmp.Diff(facts[1], facts[0]); diff != "" {
				t.Errorf("(-one by one +together):\n%s", diff)
			}
		})
	}
}

// What explain says about now, the job must do when its minute comes.
func TestADryRunSeesTheWordsThatThePhoneHasJustHad(t *testing.T) {
	s, p := openNew(t), newPolicy()
	p.PerNumberDaily = 5
	one, other := billOf(1), billOf(1) // of two services, which the words do not name
	other.Service = "power"
	bills := ready(t, s, p, one, other)
	lead, bundle, err := s.DryRun(t.Context(), roundAt(p, firstStage), bills[1])
	mustDo(t, err)
	if bundle.Text == nil || lead.Text == nil {
		t.Fatalf("before any text it is held: %+v", lead.Records)
	}
	first := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 1)).Texts
	if len(first) != 1 || first[0].Parts[0].BillID != bills[0].ID {
		t.Fatalf("the other bill was not texted: %v", first)
	}
	quiet(t, s, func() { lead, bundle, err = s.DryRun(t.Context(), roundAt(p, firstStage), bills[1]) })
	mustDo(t, err)
	if bundle.Text != nil || len(lead.Records) != 1 || lead.Records[0].Reason != reminder.SameWords {
		t.Errorf("it would be %+v", lead.Records)
	}
	must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10))
	wantRecorded(t, s, bills[1].ID, "3 days before, held, same_words")
}

func TestADryRunSeesAPauseThatHasNotReachedTheBillYet(t *testing.T) {
	s, p := openNew(t), newPolicy()
	last := aboveFirstPage(t, s, p, 1)[0]
	until := due.AddDays(-1).At(0, nairobi)
	interrupted(t, s, Selector{Service: "water"}, firstStage, Pause{Until: until, Detail: "by desk"})
	lead, bundle, err := s.DryRun(t.Context(), roundAt(p, firstStage), last)
	mustDo(t, err)
	if bundle.Text != nil || lead.Bill.State != reminder.BillPaused || !lead.Next.Equal(until) {
		t.Errorf("a bill that is %s would be texted or decided at %s", lead.Bill.State, lead.Next)
	}
	if got := billState(t, s, last.Account); got != reminder.BillActive {
		t.Errorf("the dry run wrote: the bill is %s", got)
	}
}

// sharing are n bills with so many phones.
func sharing(n, phones int) []reminder.Bill {
	bills := billsOf(n)
	for i := range bills {
		bills[i].Phone = phone(i % phones)
	}
	return bills
}

// written is all that a round can write, in no order, and without the numbers
// of rows.
func written(t *testing.T, s *Store) []string {
	t.Helper()
	var all []string
	for _, query := range []string{
		"SELECT 'text', phone, body, state, segments, not_after, 0 FROM texts",
		"SELECT 'reminder', bill_id, stage, outcome, reason, decided_at, coalesce((SELECT body FROM texts WHERE id = text_id), '') FROM reminders",
		"SELECT 'event', bill_id, what, reason, detail, at, text_id IS NULL FROM events",
		"SELECT 'due', bill_id, at, owner, 0, 0, 0 FROM due_remind",
		"SELECT 'usage', since, texts, segments, 0, 0, 0 FROM usage",
	} {
		rows := s.read(t.Context()).Query(query)
		all = append(all, must(db.Collect(rows, func(r db.Scanner) (string, error) {
			var v [7]any
			err := r.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6])
			return fmt.Sprint(v), err
		}))...)
	}
	slices.Sort(all)
	return all
}
