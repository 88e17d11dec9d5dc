package store

import (
	"cmp"
	"slices"

	"duewatch/reminder"
)

// mostOfPhone bounds the bills of one phone that are looked through for
// companions, so that a phone with ten thousand holds up no other.
const mostOfPhone = 200

// companions reads the other bills of the phone that are due for a look soon
// enough to share a text now, those that have waited longest first.
func (t *tx) companions(r Round, b reminder.Bill) ([]reminder.Case, error) {
	// Most phones have one bill, and this reads one entry of an index then.
	var others bool
	if err := t.row("SELECT EXISTS (SELECT 1 FROM bills WHERE phone = ?1 AND id <> ?2)", b.Phone.E164(), b.ID).Scan(&others); err != nil || !others {
		return nil, explain(err)
	}
	rows, err := t.query(`SELECT bill_id, at FROM due_remind WHERE at < ?4
		AND bill_id IN (SELECT id FROM bills WHERE phone = ?1 AND id <> ?2 ORDER BY id LIMIT ?3)`,
		b.Phone.E164(), b.ID, mostOfPhone, r.Now.AddDate(0, 0, reminder.MaxBundleDays+1).UnixMilli())
	if err != nil {
		return nil, err
	}
	type look struct{ id, at int64 }
	looks, err := collect(rows, func(r row) (l look, err error) {
		err = r.Scan(&l.id, &l.at)
		return l, err //nolint:wrapcheck // names the column
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(looks, func(a, b look) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
	var all []reminder.Case
	for _, l := range looks[:min(len(looks), reminder.MaxCompanions)] {
		other, err := t.bill(l.id)
		var c reminder.Case
		if err == nil {
			c, err = t.caseOf(r, other)
		}
		switch {
		case ofTheMachine(err):
			return nil, err
		case err == nil: // else its own look tells of its fault
			all = append(all, c)
		}
	}
	return all, nil
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
