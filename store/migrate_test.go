package store

import (
	"errors"
	"path/filepath"
	"testing"
)

// A store that has texts keeps them, and their reminders, when their tables
// are made anew.
func TestAStoreWithTextsIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	old := must(openPool(t.Context(), path, "rwc", 1, commandCache))
	must(must(provider(old)).UpTo(t.Context(), 5))
	for _, statement := range []string{
		`INSERT INTO bills (id, service, account, phone, language, description, source, state)
			VALUES (7, '17', '4417', '+254710000001', '', '', 'import', 'active')`,
		`INSERT INTO texts (id, phone, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at, accepted_at,
			settled_at, provider_id, provider_status, error_code, error, billed_segments, price, price_unit, next_look_at, looks, refused_for)
			VALUES (3, '+254710000001', '+254710000002', 'words', 'sw', 2, 'failed', 'owner', 11, 12, 13, 14, 15,
			16, 'SM1', 'failed', 30003, 'why', 4, '-0.05', 'USD', 18, 19, 'bad_number')`,
		`INSERT INTO reminders (id, bill_id, due_date, stage, outcome, reason, text_id, tries, decided_at, paid_at)
			VALUES (9, 7, '2026-11-24', -3, 'texted', 'on_schedule', 3, 2, 14, 20)`,
		`INSERT INTO due_recheck (bill_id, at, owner) VALUES (7, 600021, 'a dead process')`,
	} {
		must(old.ExecContext(t.Context(), statement))
	}
	const all = "SELECT json_array(" + `id, phone, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at, accepted_at,
		settled_at, provider_id, provider_status, error_code, error, billed_segments, price, price_unit, next_look_at, looks, refused_for) FROM texts`
	const stages = "SELECT json_array(id, bill_id, due_date, stage, outcome, reason, text_id, tries, decided_at, paid_at) FROM reminders"
	var before, stagesBefore string
	mustDo(t, old.QueryRowContext(t.Context(), all).Scan(&before))
	mustDo(t, old.QueryRowContext(t.Context(), stages).Scan(&stagesBefore))
	mustDo(t, old.Close())

	s := openAt(t, path)
	if got := word(t, s, all); got != before {
		t.Errorf("a text that was\n%s\nis now\n%s", before, got)
	}
	if got := word(t, s, "SELECT number FROM texts JOIN phones USING (phone_id)"); got != "+254710000001" {
		t.Errorf("the phone of the text is %s", got)
	}
	if got := word(t, s, stages); got != stagesBefore {
		t.Errorf("a stage that was\n%s\nis now\n%s", stagesBefore, got)
	}
	if got := word(t, s, "SELECT count(*) FROM pragma_foreign_key_check"); got != "0" {
		t.Errorf("%s rows refer to what is not there", got)
	}
	if got := word(t, s, "SELECT json_array(bill_id, at) FROM due_recheck"); got != "[7,21]" {
		t.Errorf("in the queue of rechecks is %s", got)
	}
	// What is written refers to the new table.
	err := s.do(func(t *tx) error {
		_, err := t.exec("UPDATE reminders SET text_id = 4")
		return err
	})
	if err == nil || errors.Is(err, ErrClosed) {
		t.Errorf("a reminder of a text that is not there: %v", err)
	}
}
