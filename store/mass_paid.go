package store

import (
	"maps"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

var sumDoubtedSQL = db.NewBatch(`WITH v (service, owed, turned, returned) AS (VALUES %s)
	UPDATE doubted_payments SET owed = doubted_payments.owed + v.owed, turned = doubted_payments.turned + v.turned,
		returned = doubted_payments.returned + v.returned
	FROM v WHERE doubted_payments.service = v.service AND doubted_payments.until_at IS NULL`, 0, db.Text, db.Integer, db.Integer, db.Integer)

// judgePayments doubts what Almara Pay says is paid when it says so of too many bills of a
// service of a batch, and believes it again when most of them owe again. update: of all
// services, and what stands already.
func (t *tx) judgePayments(now time.Time, update bool, batch []*serviceAnswers) error {
	from, err := t.judgedFrom(reminder.MassPaid, now)
	if err != nil {
		return err
	}
	hour, err := t.answersToJudge(from, now, update, batch)
	if err != nil {
		return err
	}
	doubts, err := lastDoubts(t)
	if err != nil {
		return err
	}
	news := false
	for _, service := range slices.Sorted(maps.Keys(hour)) {
		d, c := doubts[service], hour[service]
		open := !d.Since.IsZero() && d.Until.IsZero()
		switch {
		case open || !c.MassPaid():
			continue
		case d.Until.After(from): // what was doubted before counts no more
			since, err := t.answersOf(service, d.Until, now)
			if err != nil {
				return err
			}
			if !since.MassPaid() {
				continue
			}
		}
		if err := t.doubtPayments(now, from, service, c); err != nil {
			return err
		}
		news = true
	}
	if !update && !news {
		return nil
	}
	open, err := t.openDoubts()
	if err != nil {
		return err
	}
	var sentences []string
	for _, service := range slices.Sorted(maps.Keys(open)) {
		since := open[service]
		if hour[service].PaidRight(since) {
			if err := t.believePayments(now, service); err != nil {
				return err
			}
			continue
		}
		sentences = append(sentences, "service "+service+": "+since.PaidSentence())
	}
	if len(sentences) == 0 {
		return t.endWarning(reminder.MassPaid)
	}
	return t.warn(now, reminder.MassPaid, strings.Join(sentences, "; ")+"; ask the biller whether that is true: "+
		"reminders of bills that owe nothing wait, and no payment counts")
}

// mostUnskipped bounds how many reminders one transaction takes up again.
const mostUnskipped = 5000

// doubtPayments begins a doubt about what was said of a service's bills since from, of
// which since are the sums. What
// was skipped by it as paid, which is little since the doubt begins with the first bills
// that are too many, waits from now on.
func (t *tx) doubtPayments(now, from time.Time, service string, since reminder.AnswerCounts) error {
	if _, err := t.Exec(`INSERT INTO doubted_payments (service, since, owed, turned, returned) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (service, since) DO UPDATE SET until_at = NULL, owed = excluded.owed, turned = excluded.turned, returned = excluded.returned`,
		service, from.UnixMilli(), since.Owed, since.Turned, since.Returned); err != nil {
		return err
	}
	rows := t.Query(`UPDATE reminders SET outcome = 'held', reason = ?2, decided_at = ?1
		WHERE id IN (SELECT r.id FROM (SELECT bill_id AS bill FROM events
				WHERE id > coalesce((SELECT id FROM events WHERE at < ?3 ORDER BY id DESC LIMIT 1), 0)
					AND what = 'skipped' AND reason IN (?4, ?5) ORDER BY id DESC LIMIT ?6 + 0) AS late
			CROSS JOIN bills b CROSS JOIN reminders r
			WHERE b.id = late.bill AND r.bill_id = b.id AND r.due_date = b.due_date
				AND r.outcome = 'skipped' AND r.reason IN (?4, ?5) AND r.decided_at >= ?3 AND b.state = 'active' AND b.service = ?7)
		RETURNING bill_id, stage, due_date`,
		now.UnixMilli(), reminder.MassPaid, from.UnixMilli(), reminder.Paid, reminder.InCredit, mostUnskipped, service)
	again, err := heldAgain(rows, now, reminder.MassPaid)
	if err != nil {
		return err
	}
	entries := make([]queueEntry, 0, len(again))
	seen := make(map[int64]bool, len(again))
	for _, e := range again {
		if !seen[e.BillID] {
			seen[e.BillID] = true
			entries = append(entries, queueEntry{e.BillID, now})
		}
	}
	if err := t.scheduleAll(dueRemind, entries); err != nil {
		return err
	}
	return t.events(again)
}

// believePayments ends the doubt: the feed is right again. What was said while it lasted
// stays doubted, so bills are asked about anew; the first of those that wait at once, the
// others when their time comes.
func (t *tx) believePayments(now time.Time, service string) error {
	_, err := t.Exec("UPDATE doubted_payments SET until_at = ?1 WHERE service = ?2 AND until_at IS NULL", now.UnixMilli(), service)
	if err != nil {
		return err
	}
	waiting, err := db.Collect(t.Query("SELECT bill_id FROM reminders WHERE outcome = 'held' AND reason = ?1 ORDER BY bill_id LIMIT ?2 + 0",
		reminder.MassPaid, mostUnskipped), db.ScanID)
	if err != nil {
		return err
	}
	_, err = db.ExecBatch(t.Tx, evaluateNowSQL, waiting, db.ID, now.UnixMilli())
	return err
}

var evaluateNowSQL = db.NewBatch("UPDATE due_remind SET owner = NULL, at = ?1 WHERE bill_id IN (%s) AND at > ?1", 1, db.Integer)

// acceptPayments ends the doubt by the operator's word: what was said to be paid is, and
// counts.
func (t *tx) acceptPayments() error {
	_, err := t.Exec("DELETE FROM doubted_payments WHERE until_at IS NULL")
	return err
}

// lastDoubts are the latest spans of doubt of the services that had any.
func lastDoubts(q db.Reader) (map[string]reminder.FeedFault, error) {
	rows := q.Query("SELECT service, since, until_at FROM doubted_payments ORDER BY since")
	all := map[string]reminder.FeedFault{}
	_, err := db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var service string
		var d reminder.FeedFault
		err = r.Scan(&service, db.InstantTo(&d.Since), db.InstantTo(&d.Until))
		all[service] = d
		return none, err
	})
	return all, err
}

// openDoubts are the sums of the answers since each doubt began that is not over, by service.
func (t *tx) openDoubts() (map[string]reminder.AnswerCounts, error) {
	rows := t.Query("SELECT service, owed, turned, returned FROM doubted_payments WHERE until_at IS NULL")
	all := map[string]reminder.AnswerCounts{}
	_, err := db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var service string
		var c reminder.AnswerCounts
		err = r.Scan(&service, &c.Owed, &c.Turned, &c.Returned)
		all[service] = c
		return none, err
	})
	return all, err
}

var withdrawPaymentsSQL = db.NewBatch(`UPDATE reminders SET paid_at = NULL
	WHERE (bill_id, due_date) IN (VALUES %s) AND paid_at >= ?1 AND (CAST(?2 AS BIGINT) IS NULL OR paid_at < ?2)`, 2, db.Integer, db.Text)

// takeBackPayments takes back that bills were paid which owe again, where that was said in
// the last doubt: their customers may pay yet.
func (t *tx) takeBackPayments(bills []reminder.Bill) error {
	if len(bills) == 0 {
		return nil
	}
	doubts, err := lastDoubts(t)
	if err != nil {
		return err
	}
	for service, d := range doubts {
		own := slices.DeleteFunc(slices.Clone(bills), func(b reminder.Bill) bool { return b.Service != service })
		if _, err := db.ExecBatch(t.Tx, withdrawPaymentsSQL, own, func(args []any, b reminder.Bill) []any {
			return append(args, b.ID, b.DueDate.String())
		}, d.Since.UnixMilli(), millis(d.Until)); err != nil {
			return err
		}
	}
	return nil
}

// paymentBelieved is a condition of a report: what was paid at r.paid_at was said at a time
// that nobody doubts.
const paymentBelieved = `NOT EXISTS (SELECT 1 FROM doubted_payments d
	WHERE d.service = (SELECT service FROM bills WHERE id = r.bill_id) AND d.since <= r.paid_at
		AND (d.until_at IS NULL OR d.until_at > r.paid_at))`
