package store

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A pass from several places of a queue meets each bill once, wherever the middle
// begins and however many are read at a time.
func TestTurnsFromSeveralPlacesMeetEachBillOnce(t *testing.T) {
	s := openNew(t)
	const bills = 40
	for i := range bills { // the first 30 of one instant, as of an import
		at := learnedAt
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
	now := learnedAt.Add(time.Hour)
	since := learnedAt.Add(35 * time.Second) // bills 1 to 36 were due by then
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
					some, last, err := s.ToRegister(t.Context(), now, p, n)
					mustDo(t, err)
					for _, b := range some {
						met[b.ID]++
					}
					if places[i] = last; len(some) < n {
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
