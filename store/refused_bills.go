package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Refusal is how Almara Pay refused a bill without rejecting it: the answer may
// be about the bill alone, or about all.
type Refusal int

// The refusals.
const (
	NotRefused Refusal = iota
	Unclear            // a 4xx in a form that is not known
	Forbidden          // a 403
)

// refusedApart is how far apart two refusals are at least that amount to a
// rejection: a fault that passes within the hour may pass over midnight.
const refusedApart = 6 * time.Hour

// recordRefusal notes a refusal of the bill, and reports whether it amounts to a
// rejection: the bill was refused so on an earlier day too, hours ago, and others
// were answered well in between. While nobody is answered well, a wrong address may
// be to blame: noneAnswered says that this is all that spoke against the rejection.
func (t *tx) recordRefusal(b reminder.Bill, r Refusal, p *reminder.Policy, now time.Time) (rejected, noneAnswered bool, err error) {
	var since time.Time
	var forbidden bool
	err = t.Row("SELECT since, forbidden FROM refused_bills WHERE bill_id = ?1", b.ID).Scan(db.InstantTo(&since), &forbidden)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, false, fmt.Errorf("read refusals: %w", err)
	}
	if err != nil || forbidden != (r == Forbidden) || since.After(now) {
		_, err := t.Exec(`INSERT INTO refused_bills (bill_id, since, forbidden) VALUES (?1, ?2, ?3)
			ON CONFLICT (bill_id) DO UPDATE SET since = excluded.since, forbidden = excluded.forbidden`, b.ID, now.UnixMilli(), r == Forbidden)
		return false, false, err
	}
	if r == Forbidden || now.Sub(since) < refusedApart || !reminder.DateOf(since.In(p.Zone)).Before(reminder.DateOf(now.In(p.Zone))) {
		return false, false, nil
	}
	answered, err := instantOf(t, metaAnswered)
	if err != nil || !answered.After(since) {
		return false, err == nil, err
	}
	return true, false, nil
}

// judgeRefusal makes a rejection of a refusal that amounts to one.
func (t *tx) judgeRefusal(w *checkBatch, b reminder.Bill, l *CheckResult, policy *reminder.Policy) error {
	if w.unsure || l.Refused == NotRefused || b.State == reminder.BillRemoved || b.State == reminder.BillRejected {
		return nil
	}
	rejected, noneAnswered, err := t.recordRefusal(b, l.Refused, policy, w.now)
	if err != nil {
		return err
	}
	if rejected {
		l.Rejected, l.Failed, l.Refused = l.Failed, "", NotRefused
		return nil
	}
	if l.Refused == Unclear {
		w.unclear, w.noneAnswered = b, w.noneAnswered || noneAnswered
		w.unclear.LastError = l.Failed
	}
	return nil
}

var forgetRefusalsSQL = db.NewBatch("DELETE FROM refused_bills WHERE bill_id IN (%s)", 0, db.Integer)

// forgetRefusals forgets that bills were refused: they were answered well, or
// something about them is new.
func (t *tx) forgetRefusals(ids ...int64) error {
	_, err := db.ExecBatch(t.Tx, forgetRefusalsSQL, ids, db.ID)
	return err
}

// metaAnswered is when Almara Pay last answered well about any bill, in
// milliseconds.
const metaAnswered = "answered_at"

// recordAnswered notes that Almara Pay answers.
func (t *tx) recordAnswered(at time.Time) error {
	if err := t.setMeta(metaAnswered, strconv.FormatInt(at.UnixMilli(), 10)); err != nil {
		return err
	}
	return t.endWarning(reminder.NobodyAnswered)
}

// warnNobodyAnswered warns when so many different bills were refused, with
// nobody answered well since the first of them, that the address is under
// suspicion; or when a bill was refused on two days in that way, however few
// there are. b is one of them.
func (t *tx) warnNobodyAnswered(b reminder.Bill, noneAnswered bool, p *reminder.Policy, now time.Time) error {
	if warned, err := t.warned(reminder.NobodyAnswered); err != nil || warned {
		return err
	}
	answered, err := instantOf(t, metaAnswered)
	if err != nil {
		return err
	}
	released, err := instantOf(t, metaReleased+string(reminder.NobodyAnswered))
	if err != nil {
		return err
	}
	from := int64(-1)
	for _, at := range []time.Time{answered, released} {
		if !at.IsZero() {
			from = max(from, at.UnixMilli())
		}
	}
	var witnesses int
	err = t.Row("SELECT count(*) FROM (SELECT 1 FROM refused_bills WHERE since > ?1 AND forbidden = 0 LIMIT ?2 + 0) AS found",
		from, reminder.EnoughWitnesses).Scan(&witnesses)
	if err != nil {
		return err
	}
	// What the operator has released warns again on the next day.
	noneAnswered = noneAnswered && reminder.DateOf(released.In(p.Zone)).Before(reminder.DateOf(now.In(p.Zone)))
	if witnesses < reminder.EnoughWitnesses && !noneAnswered {
		return nil
	}
	since := "no bill was ever answered well"
	if !answered.IsZero() {
		since = "no bill was answered well since " + answered.In(p.Zone).Format("2 Jan 15:04")
	}
	return t.warn(now, reminder.NobodyAnswered, fmt.Sprintf(
		"%s, and Almara Pay refuses them in a form that is not known, such as account %s of service %s (%s); "+
			"no bill is rejected for it: is almara.base_url right?", since, b.Account, b.Service, b.LastError))
}

// Forbidden reports whether Almara Pay refused the bill by a 403 before, with
// others let in: that it does so again says nothing of those.
func (s *Store) Forbidden(ctx context.Context, billID int64) (known bool, err error) {
	err = s.read(ctx).Row("SELECT EXISTS (SELECT 1 FROM refused_bills WHERE bill_id = ?1 AND forbidden = 1)", billID).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("read refusals: %w", err)
	}
	return known, nil
}

// RefusedBills are the bills that Almara Pay refuses in one way, and one of them.
type RefusedBills struct {
	Bills            int // at most MostRefused
	Service, Account string
	Since            time.Time
	Said             string
}

// MostRefused is up to how many of them are counted.
const MostRefused = 1000

// RefusedBills counts the bills that are refused and not rejected. The example is the
// one that has been refused for the longest time.
func (s *Store) RefusedBills(ctx context.Context, r Refusal) (found RefusedBills, err error) {
	const of = "FROM refused_bills WHERE since > -1 AND forbidden = "
	query := of + "0"
	if r == Forbidden {
		query = of + "1"
	}
	err = s.read(ctx).Row("SELECT count(*) FROM (SELECT 1 "+query+" LIMIT ?1 + 0) AS found", MostRefused).Scan(&found.Bills)
	if err == nil && found.Bills > 0 {
		err = s.read(ctx).Row("SELECT since, service, account, last_error FROM (SELECT bill_id, since "+query+` ORDER BY since LIMIT 1) AS longest
			CROSS JOIN bills WHERE id = bill_id`).Scan(db.InstantTo(&found.Since), &found.Service, &found.Account, &found.Said)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) { // the last one was answered well just now
		return RefusedBills{}, fmt.Errorf("count what is refused: %w", err)
	}
	return found, nil
}
