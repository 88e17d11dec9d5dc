package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
)

// sameWords is for how long no two texts of one phone may have the same words:
// longer than one of them is looked for in the provider's list by its words.
const sameWords = 3 * 24 * time.Hour

// errUnfit means that the phone has just had, or may have had, a text of these
// very words, or must not be texted.
var errUnfit = errors.New("the phone is opted out, or has just had these words")

// intend writes the intent to send one text, unless it would be mistaken for
// another one. An opt-out is a reason not to get here; it is tested again, so
// that whatever is decided, no text to such a phone can be written.
func (t *tx) intend(r Round, j reminder.Joint) (Text, error) {
	o, phone := j.Text, j.Shares[0].Bill.Phone
	text := Text{To: o.To, Body: o.Body, Language: o.Language, Segments: o.Count.Segments, Decided: r.Now, NotAfter: o.NotAfter}
	args := []any{
		phone.E164(), o.To.E164(), o.Body, o.Language, o.Count.Segments, r.Claim.Owner, r.Now.Add(r.Claim.Lease).UnixMilli(),
		o.Planned.UnixMilli(), o.NotAfter.UnixMilli(), r.Now.UnixMilli(), r.Now.Add(-sameWords).UnixMilli(),
	}
	services := "''"
	for _, s := range j.Shares {
		if !slices.ContainsFunc(text.Parts, func(p Part) bool { return p.Service == s.Bill.Service }) {
			args = append(args, s.Bill.Service)
			services += fmt.Sprintf(", ?%d", len(args))
		}
		text.Parts = append(text.Parts, Part{
			BillID: s.Bill.ID, Service: s.Bill.Service, Account: s.Bill.Account, DueDate: s.Bill.DueDate,
			Stage: s.Text.Stage, Reason: s.Text.Reason, Planned: s.Text.Planned,
		})
	}
	err := t.row(`INSERT INTO texts (phone, sent_to, body, language, segments, state, owner, lease_until,
			planned_at, not_after, created_at)
		SELECT ?1, ?2, ?3, ?4, ?5, 'sending', ?6, ?7, ?8, ?9, ?10
		WHERE NOT EXISTS (SELECT 1 FROM texts WHERE phone = ?1 AND created_at >= ?11 AND body = ?3
			AND state NOT IN ('refused', 'not_found', 'failed', 'undelivered', 'canceled'))
		AND NOT EXISTS (SELECT 1 FROM opt_outs WHERE phone = ?1 AND service IN (`+services+`))
		RETURNING id`, args...).Scan(&text.ID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return text, errUnfit
	case err != nil:
		return text, fmt.Errorf("write intent: %w", explain(err))
	}
	return text, nil
}

// record writes what became of a stage and its event; it reports false when
// the same stood there already. A stage that is texted or skipped stays so.
func (t *tx) record(b reminder.Bill, rec reminder.Record, textID int64, now time.Time) (isNew bool, err error) {
	var text any
	var ofText int64 // a stage that this look skips has no part in the text of another
	if rec.Outcome == reminder.Texted {
		text, ofText = textID, textID
	}
	isNew, err = t.changed(`INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, text_id, decided_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (bill_id, due_date, stage) DO UPDATE
			SET outcome = excluded.outcome, reason = excluded.reason, text_id = excluded.text_id, decided_at = excluded.decided_at
			WHERE reminders.outcome = 'held' AND (excluded.outcome <> 'held' OR excluded.reason <> reminders.reason)`,
		b.ID, b.DueDate.String(), rec.Stage, rec.Outcome, rec.Reason, text, now.UnixMilli())
	if err != nil || !isNew {
		if err == nil && rec.Outcome == reminder.Texted {
			err = fmt.Errorf("stage %s of bill %d: %w", rec.Stage, b.ID, errSecondText)
		}
		return false, err
	}
	return true, t.event(Event{
		At: now, BillID: b.ID, TextID: ofText, What: string(rec.Outcome), Reason: string(rec.Reason),
		Detail: fmt.Sprintf("%s, due %s: %s", rec.Stage, b.DueDate, orElse(rec.Detail, rec.Reason.Info().Means)),
	})
}

// errSecondText cannot happen while a decision and its facts share one
// transaction; it takes the whole round back if it does.
var errSecondText = errors.New("it already has a text or was skipped")

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
