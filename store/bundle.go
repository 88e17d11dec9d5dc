package store

import (
	"cmp"
	"slices"

	"duewatch/reminder"
	"duewatch/store/db"
)

// mostOfPhone bounds the bills of one phone that are looked through for
// companions, so that a phone with ten thousand holds up no other.
const mostOfPhone = 200

// bundleCandidates reads, for each phone of the bills, its other bills that are due
// for a look soon enough to share a text now, those that have waited longest
// first.
func (t *tx) bundleCandidates(r Round, leads []fact) (map[reminder.Phone][]reminder.Case, error) {
	others := make(map[reminder.Phone][]reminder.Case)
	var ids []int64
	for _, lead := range leads {
		if !lead.sharesPhone || r.single {
			continue
		}
		some, err := t.candidatesOf(r, lead.Bill)
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	err := db.Together(t.Tx, ids, func(some []int64) error { return t.addCandidates(r, some, others) },
		func(int64, error) error { return nil }) // its own evaluation reports the fault
	return others, err
}

func (t *tx) addCandidates(r Round, ids []int64, to map[reminder.Phone][]reminder.Case) error {
	facts, err := t.facts(r, ids)
	if err != nil {
		return err
	}
	for _, f := range facts {
		if p, err := t.unreachedBy(r, f.Bill); err != nil {
			return err
		} else if p != nil {
			continue
		}
		to[f.Bill.Phone] = append(to[f.Bill.Phone], f.Case)
	}
	return nil
}

func (t *tx) candidatesOf(r Round, b reminder.Bill) ([]int64, error) {
	rows, err := t.Query(`SELECT bill_id, at FROM due_remind WHERE at < ?4
		AND bill_id IN (SELECT id FROM bills WHERE phone = ?1 || '' AND id <> ?2 ORDER BY id LIMIT ?3 + 0)`,
		b.Phone.E164(), b.ID, mostOfPhone, r.Now.AddDate(0, 0, reminder.MaxBundleDays+1).UnixMilli())
	if err != nil {
		return nil, err
	}
	looks, err := db.Collect(rows, func(r db.Scanner) (l queueEntry, err error) {
		err = r.Scan(&l.billID, db.InstantTo(&l.at))
		return l, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(looks, func(a, b queueEntry) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.billID, b.billID)) })
	var ids []int64
	for _, l := range looks[:min(len(looks), reminder.MaxBundleCandidates)] {
		ids = append(ids, l.billID)
	}
	return ids, nil
}

// eachOnce drops the repeats of bills that several texts would name.
func eachOnce(bills []reminder.Bill) []reminder.Bill {
	seen := make(map[int64]bool, len(bills))
	return slices.DeleteFunc(bills, func(b reminder.Bill) bool {
		twice := seen[b.ID]
		seen[b.ID] = true
		return twice
	})
}
