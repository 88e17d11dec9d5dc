package store

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// A pause of a service or a phone may take minutes to go through its bills, page by
// page. From its first commit on no bill of it may be texted, also when its command
// dies in between. So the pause keeps how far it has come (pauses.reached_*), and
// holds for the bills behind that as well, whatever their own state: a decision
// about one of them pauses it, and a text about one does not leave.
//
// A bill that it has reached is no concern of it any more, and can be resumed alone.

// pauseUnfinishedSQL is the condition on a pause p that it holds at ?1, and has not reached
// all of its bills.
const pauseUnfinishedSQL = "p.reached_id IS NOT NULL AND (p.until_at IS NULL OR p.until_at > ?1)"

// notReachedSQL is the condition on an unfinished pause p that it has yet to reach the
// bill b.
const notReachedSQL = "p.service IN ('', b.service) AND p.phone IN ('', b.phone) AND b.id > p.reached_id AND b.account > p.reached_account"

// errPauseTaken ends a pause in the middle: its rule is another command's now.
var errPauseTaken = errors.New("another command has ended this pause, or begun it anew, before it reached all bills: " +
	"duewatch pause lists what stands")

// pauseReached notes how far a pause has come.
func (t *tx) pauseReached(c Selector, before, last reminder.Bill, done bool) error {
	// The order of the pages is that of selected.
	position := func(b reminder.Bill) (id int64, account string) {
		if c.WholeService() {
			return 0, b.Account
		}
		return b.ID, ""
	}
	wasID, wasAccount := position(before)
	var id, account any // NULL = done
	if !done {
		id, account = position(last)
	}
	mine, err := t.Changed(`UPDATE pauses SET reached_id = ?5, reached_account = ?6
		WHERE service = ?1 AND phone = ?2 AND reached_id = ?3 AND reached_account = ?4`,
		c.Service, c.Phone.E164(), wasID, wasAccount, id, account)
	if err == nil && !mine {
		err = errPauseTaken
	}
	return err
}

// unfinishedPauseOf is the unfinished pause that has yet to reach an active bill: of several
// the one that lasts longest; nil = there is none.
func (d *decider) unfinishedPauseOf(b reminder.Bill) (*Pause, error) {
	if !d.pauseUnfinished || b.State != reminder.BillActive {
		return nil, nil
	}
	var p Pause
	err := d.Row(`SELECT p.until_at, p.detail FROM pauses p CROSS JOIN bills b
		WHERE b.id = ?2 AND `+pauseUnfinishedSQL+" AND "+notReachedSQL+`
		ORDER BY p.until_at IS NOT NULL, p.until_at DESC LIMIT 1`, d.Now.UnixMilli(), b.ID).
		Scan(db.InstantTo(&p.Until), &p.Detail)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read unfinished pauses: %w", err)
	}
	return &p, nil
}

// checkNoUnfinishedPause refuses to resume a bill that an unfinished pause would pause again
// right away.
func (t *tx) checkNoUnfinishedPause(b reminder.Bill, now time.Time) error {
	var service, phone string
	err := t.Row(`SELECT p.service, p.phone FROM pauses p CROSS JOIN bills b
		WHERE b.id = ?2 AND `+pauseUnfinishedSQL+" AND "+notReachedSQL+" LIMIT 1", now.UnixMilli(), b.ID).Scan(&service, &phone)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("read unfinished pauses: %w", err)
	}
	what := "its phone"
	if service != "" {
		what = "service " + service
		if phone != "" {
			what = "its phone and " + what
		}
	}
	return fmt.Errorf("account %s: a pause of %s has not reached this bill yet and would pause it again: "+
		"let it end, or type it again if it was interrupted, and resume the bill then", b.Account, what)
}

// notReachedPartsSQL are the texts about a bill that an unfinished pause has yet to reach.
var notReachedPartsSQL = db.NewBatch(`SELECT r.text_id FROM reminders r CROSS JOIN bills b CROSS JOIN pauses p
	WHERE r.text_id IN (%s) AND b.id = r.bill_id AND `+pauseUnfinishedSQL+" AND "+notReachedSQL, 1, db.Integer)

// anyPauseUnfinished reports whether a pause is under way, or was interrupted.
func (t *tx) anyPauseUnfinished(now time.Time) (found bool, err error) {
	err = t.Row("SELECT EXISTS (SELECT 1 FROM pauses p WHERE "+pauseUnfinishedSQL+")", now.UnixMilli()).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("read unfinished pauses: %w", err)
	}
	return found, nil
}
