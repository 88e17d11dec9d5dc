package store

import (
	"cmp"
	"slices"

	"duewatch/reminder"
	"duewatch/store/db"
)

// mostOfPhone bounds the bills of one phone that are searched for candidates, so
// that a phone with ten thousand bills holds up no other.
const mostOfPhone = 200

// bundleCandidates reads, for each phone of the bills that lead a text, its other
// bills that are due soon enough to share that text, those that have waited longest
// first.
func (d *decider) bundleCandidates(leads []fact) (map[reminder.Phone][]reminder.Case, error) {
	candidates := make(map[reminder.Phone][]reminder.Case)
	var ids []int64
	for _, lead := range leads {
		if !lead.mayBundle {
			continue
		}
		others, err := d.dueSoonOfPhone(lead.Bill)
		if err != nil {
			return nil, err
		}
		ids = append(ids, others...)
	}
	err := db.Together(d.Tx, ids, func(batch []int64) error { return d.addCandidates(batch, candidates) },
		func(int64, error) error { return nil }) // the fault is reported when the bill itself is due
	return candidates, err
}

// addCandidates reads the facts of bills, and adds those that no pause holds.
func (d *decider) addCandidates(ids []int64, candidates map[reminder.Phone][]reminder.Case) error {
	facts, err := d.facts(ids)
	if err != nil {
		return err
	}
	for _, f := range facts {
		pause, err := d.unfinishedPauseOf(f.Bill)
		if err != nil {
			return err
		}
		if pause == nil {
			candidates[f.Bill.Phone] = append(candidates[f.Bill.Phone], f.Case)
		}
	}
	return nil
}

// dueSoonOfPhone reads the other bills of a bill's phone that are evaluated within
// the days that a bundle may span.
func (d *decider) dueSoonOfPhone(b reminder.Bill) ([]int64, error) {
	rows := d.Query(`SELECT bill_id, at FROM due_remind WHERE at < ?4
		AND bill_id IN (SELECT id FROM bills WHERE phone = ?1 || '' AND id <> ?2 ORDER BY id LIMIT ?3 + 0)`,
		b.Phone.E164(), b.ID, mostOfPhone, d.Now.AddDate(0, 0, reminder.MaxBundleDays+1).UnixMilli())
	entries, err := db.Collect(rows, func(r db.Scanner) (e queueEntry, err error) {
		err = r.Scan(&e.billID, db.InstantTo(&e.at))
		return e, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b queueEntry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.billID, b.billID))
	})
	var ids []int64
	for _, e := range entries[:min(len(entries), reminder.MaxBundleCandidates)] {
		ids = append(ids, e.billID)
	}
	return ids, nil
}

// eachOnce drops the repeats of bills that several texts would name.
func eachOnce(bills []reminder.Bill) []reminder.Bill {
	seen := make(map[int64]bool, len(bills))
	var once []reminder.Bill
	for _, b := range bills {
		if !seen[b.ID] {
			seen[b.ID] = true
			once = append(once, b)
		}
	}
	return once
}
