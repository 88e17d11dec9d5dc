package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"duewatch/reminder"
)

func idsOf(bills []reminder.Bill) []int64 {
	ids := make([]int64, len(bills))
	for i, b := range bills {
		ids[i] = b.ID
	}
	slices.Sort(ids)
	return ids
}

func TestTurns(t *testing.T) {
	s := openNew(t)
	later := func(m int) time.Time { return checkedAt.Add(time.Duration(m) * time.Minute) }
	// Bill 3 waits the longest, then 2 and 1; 4 is not due.
	for i, source := range []string{"a", "b", "c"} {
		must(s.Declare(source, []reminder.Bill{billOf(i + 1)}, later(1-i/2)))
	}
	must(s.Declare("later", []reminder.Bill{billOf(4)}, later(60)))
	var place Place
	for _, want := range [][]int64{{1, 3}, {2}, {}} {
		quiet(t, s, func() {
			bills, next, err := s.ToRegister(t.Context(), later(5), place, 2)
			mustDo(t, err)
			if got := idsOf(bills); !slices.Equal(got, want) {
				t.Errorf("after %v came %v, want %v", place, got, want)
			}
			place = next
		})
	}
	// What awaits registration since, is behind the place; what was left before
	// it comes with the next pass.
	must(s.Declare("new", []reminder.Bill{billOf(5)}, later(5)))
	bills, _, err := s.ToRegister(t.Context(), later(5), place, 9)
	mustDo(t, err)
	if got := idsOf(bills); !slices.Equal(got, []int64{5}) {
		t.Errorf("after a bill was declared came %v, want 5", got)
	}
	if got := idsOf(toRegister(t, s, later(5), 9)); !slices.Equal(got, []int64{1, 2, 3, 5}) {
		t.Errorf("the next pass meets %v, want 1, 2, 3 and 5", got)
	}
}

func TestReclaimGivesBackWhatTheDeadHad(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billOf(1))
	dead, alive := Claim{Owner: "dead", Lease: time.Hour}, Claim{Owner: "alive", Lease: time.Hour}

	l := must(s.DecideDue(t.Context(), Round{Now: firstStage, Policies: policiesOf(p), Claim: dead}, 9))
	if len(l.Ask) != 1 {
		t.Fatalf("%d bills to ask about, want 1", len(l.Ask))
	}
	quiet(t, s, func() { must(s.TakeOver(firstStage, "dead", firstStage)) })
	must(s.TakeOver(firstStage, "alive", firstStage))
	quiet(t, s, func() { must(s.TakeOver(firstStage, "alive", firstStage)) })

	l = must(s.DecideDue(t.Context(), Round{Now: firstStage, Policies: policiesOf(p), Claim: alive}, 9))
	if l.Bills != 1 {
		t.Errorf("%d bills to decide about, want 1", l.Bills)
	}
	// What is at work now is not given to anybody else.
	quiet(t, s, func() { must(s.TakeOver(firstStage, "alive", firstStage)) })
}

func TestNothingDueWritesNothing(t *testing.T) {
	s, p := openNew(t), newPolicy()
	watch(t, s, p, billsOf(10)...)
	now := checkedAt.Add(time.Minute)
	quiet(t, s, func() {
		for range 1000 {
			if got := toRegister(t, s, now, 100); len(got) != 0 {
				t.Errorf("%d bills await registration", len(got))
			}
			if got, _, err := s.ToRecheck(t.Context(), now, Place{}, 100); err != nil || len(got) != 0 {
				t.Errorf("%d bills to ask about, %v", len(got), err)
			}
			must(s.DecideDue(t.Context(), roundAt(p, now), 100))
			must(s.TakeOver(now, "test", now))
			must(s.UnknownTexts(t.Context(), now, 100))
			must(s.OpenTexts(t.Context(), now, 100))
			must(s.RecordReceipts(now, nil))
			must(s.Trim(now.AddDate(-1, 0, 0), 100))
		}
	})
}

// A pass from several places of a queue meets each bill once, wherever the middle
// begins and however many are read at a time.
func TestTurnsFromSeveralPlacesMeetEachBillOnce(t *testing.T) {
	s := openNew(t)
	const bills = 40
	for i := range bills { // the first 30 of one instant, as of an import
		at := checkedAt
		if i >= 30 {
			at = at.Add(time.Duration(i) * time.Second)
		}
		mustDo(t, s.do(func(t *tx) error {
			if _, err := t.Exec(`INSERT INTO bills (id, service, account, phone, language, description, source, state)
				VALUES (?1, 'water', ?2, '+254710000001', '', '', 'config', 'pending')`, i+1, fmt.Sprint(i)); err != nil {
				return err
			}
			return t.schedule(dueRegister, int64(i+1), at)
		}))
	}
	now := checkedAt.Add(time.Hour)
	since := checkedAt.Add(35 * time.Second) // bills 1 to 36 were due by then
	begins := map[int64]bool{}
	for n := 1; n < 12; n += 3 {
		for share := 0.01; share < 1; share += 0.07 {
			_, start, err := s.ToRegister(t.Context(), since, PlaceAt(share), 0)
			mustDo(t, err)
			first, _, err := s.ToRegister(t.Context(), now, start, 1)
			mustDo(t, err)
			begins[first[0].ID] = true
			places := []Place{Place{}.Until(start), start, PlaceAfter(since).Backwards(), PlaceAfter(since)}
			met := map[int64]int{}
			for done := 0; done < len(places); {
				done = 0
				for i, p := range places {
					switch i {
					case 1:
						p = p.Until(places[2])
					case 2:
						p = p.Until(places[1])
					}
					page, last, err := s.ToRegister(t.Context(), now, p, n)
					mustDo(t, err)
					for _, b := range page {
						met[b.ID]++
					}
					if places[i] = last; len(page) < n {
						done++
					}
				}
			}
			for id := int64(1); id <= bills; id++ {
				if met[id] != 1 {
					t.Fatalf("%d at a time from share %.2f: bill %d was met %d times", n, share, id, met[id])
				}
			}
		}
	}
	if len(begins) < 8 {
		t.Errorf("the middle begins at %d bills only", len(begins))
	}
	back, _, err := s.ToRegister(t.Context(), now, PlaceAfter(since).Backwards(), 3)
	mustDo(t, err)
	var ids []int64
	for _, b := range back {
		ids = append(ids, b.ID)
	}
	if !slices.Equal(ids, []int64{36, 35, 34}) {
		t.Errorf("backwards come %v", ids)
	}
	_, nowhere, err := s.ToRecheck(t.Context(), now, PlaceAt(0.5), 0)
	if err != nil || !nowhere.IsZero() {
		t.Errorf("in an empty queue: %+v, %v", nowhere, err)
	}
}
