package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// What is kept of a person who was forgotten stands under a token in the place of the
// phone and of each account: a keyed hash, so that it says nothing to whoever reads
// the store without the key, and can be found again when the same bill is imported once more.
// The reminders of due dates to come stay under the tokens, so that no stage is texted twice; the
// texts stay without words, for the counts of the report and so that the provider's list of
// them is still known. Trim removes both when they are of no more use.

// metaForgetKey is the key of the tokens. It is made when the first person is forgotten.
const metaForgetKey = "forget_key"

// Tokens begin with forgotten; numbers of phones with a plus.
const (
	forgotten      = "forgotten:"
	afterForgotten = "forgotten;" // the first text behind all that begin with forgotten:
)

// notForgotten is the condition on a bill that its account is no token.
const notForgotten = "substr(account, 1, 10) <> '" + forgotten + "'"

// ErrInDoubt means that nobody knows yet whether a text has reached its phone.
var ErrInDoubt = errors.New("the outcome of a text to this phone is not known yet")

// StillListedError are bills that a list names: they would be registered again.
type StillListedError struct{ Bills []reminder.Bill }

func (e *StillListedError) Error() string {
	accounts := make([]string, len(e.Bills))
	for i, b := range e.Bills {
		accounts[i] = b.Account
	}
	return "a list names bills of this phone: accounts " + strings.Join(accounts, ", ")
}

// Personal counts what the store has of a person.
type Personal struct {
	Bills     int64 `json:"bills"`
	Texts     int64 `json:"texts"` // to the phone: their words, and where they went
	Events    int64 `json:"events"`
	Reminders int64 `json:"reminders"` // of due dates that are over
	Kept      int64 `json:"kept"`      // reminders of due dates to come, which stay without account and phone
	OptOuts   int64 `json:"opt_outs"`  // which stay
}

// Nothing reports whether there is nothing to erase.
func (p Personal) Nothing() bool { return p.Bills+p.Texts == 0 }

// PersonalData counts what Forget would erase, and fails as it would.
func (s *Store) PersonalData(ctx context.Context, phone reminder.Phone, today reminder.Date) (p Personal, err error) {
	err = s.view(ctx, func(t *tx) error {
		p, err = t.personalData(phone, today)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("read what there is of a phone: %w", err)
	}
	return p, nil
}

func (t *tx) personalData(phone reminder.Phone, today reminder.Date) (p Personal, err error) {
	bills, err := db.Collect(t.Query("SELECT "+billColumns+" FROM bills WHERE phone = ?1 ORDER BY id", phone.E164()), scanBill)
	if err != nil {
		return p, err
	}
	var listed []reminder.Bill
	for _, b := range bills {
		if b.Source != SourceImport && b.State != reminder.BillRemoved {
			listed = append(listed, b)
		}
	}
	if len(listed) > 0 {
		return p, &StillListedError{listed}
	}
	const ofPhone = "phone_id = (SELECT phone_id FROM phones WHERE number = ?1)"
	var inDoubt bool
	err = t.Row("SELECT EXISTS (SELECT 1 FROM texts WHERE "+ofPhone+" AND state IN ('sending', 'unknown'))", phone.E164()).Scan(&inDoubt)
	if err != nil {
		return p, err
	}
	if inDoubt {
		return p, ErrInDoubt
	}
	const ofBills = "bill_id IN (SELECT id FROM bills WHERE phone = ?1)"
	err = t.Row("SELECT (SELECT count(*) FROM bills WHERE phone = ?1), (SELECT count(*) FROM texts WHERE "+ofPhone+`),
			(SELECT count(*) FROM events WHERE `+ofBills+`), (SELECT count(*) FROM opt_outs WHERE phone = ?1)`, phone.E164()).
		Scan(&p.Bills, &p.Texts, &p.Events, &p.OptOuts)
	if err == nil {
		err = t.Row("SELECT count(CASE WHEN due_date < ?2 THEN 1 END), count(CASE WHEN due_date >= ?2 THEN 1 END) FROM reminders WHERE "+ofBills,
			phone.E164(), today.String()).Scan(&p.Reminders, &p.Kept)
	}
	return p, err
}

// Forget erases what the store has of a person, and returns what that was. Opt-outs stay. It
// fails with StillListedError while a list names one of the bills, and with ErrInDoubt while
// the outcome of a text is not known. today is the first due date that is still to come.
func (s *Store) Forget(ctx context.Context, phone reminder.Phone, today reminder.Date, now time.Time) (p Personal, err error) {
	if err := s.db.OverwriteDeleted(ctx); err != nil {
		return p, fmt.Errorf("forget: %w", err)
	}
	err = s.do(func(t *tx) error {
		if p, err = t.personalData(phone, today); err != nil || p.Nothing() {
			return err
		}
		key, err := t.forgetKey(true)
		if err != nil {
			return err
		}
		if err := t.forgetBills(key, phone, today, now); err != nil {
			return err
		}
		return t.forgetTexts(key, phone)
	})
	if err != nil {
		return p, fmt.Errorf("forget: %w", err)
	}
	return p, s.Tidy(ctx) // the log has what was overwritten
}

// forgetKey reads the key of the tokens; "" = nobody was forgotten yet.
func (t *tx) forgetKey(orMake bool) (key string, err error) {
	key, err = metaOf(t, metaForgetKey)
	if err != nil || key != "" || !orMake {
		return key, err
	}
	key = rand.Text()
	return key, t.setMeta(metaForgetKey, key)
}

// token stands in the place of a phone, or of an account of a service.
func token(key, service, of string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(service + "\x00" + of))
	return forgotten + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// forgetBills leaves of the bills of a phone what stops a second text.
func (t *tx) forgetBills(key string, phone reminder.Phone, today reminder.Date, now time.Time) error {
	bills, err := db.Collect(t.Query("SELECT "+billColumns+" FROM bills WHERE phone = ?1 ORDER BY id", phone.E164()), scanBill)
	if err != nil {
		return err
	}
	for _, b := range bills {
		for _, table := range []string{string(dueRegister), string(dueRecheck), string(dueRemind), "events", "refused_bills", "rejections"} {
			if _, err := t.Exec("DELETE FROM "+table+" WHERE bill_id = ?1", b.ID); err != nil {
				return err
			}
		}
		if _, err := t.Exec("DELETE FROM reminders WHERE bill_id = ?1 AND due_date < ?2", b.ID, today.String()); err != nil {
			return err
		}
		account := token(key, b.Service, b.Account)
		if strings.HasPrefix(b.Account, forgotten) {
			account = b.Account
		}
		// The row stays for a day at least: a job may be asking about it.
		if _, err := t.Exec(`UPDATE bills SET account = ?2, phone = '', language = '', description = '', state = 'removed', customer = '',
				balance = NULL, balance_at = NULL, due_date = NULL, biller_verified = NULL, registered_at = NULL, checked_at = ?3,
				failures = 0, last_error = '', usual = NULL, paused_at = NULL, paused_until = NULL
			WHERE id = ?1`, b.ID, account, now.UnixMilli()); err != nil {
			return err
		}
	}
	for _, table := range []string{"refused_destinations WHERE scope", "pauses WHERE phone"} {
		if _, err := t.Exec("DELETE FROM "+table+" = ?1", phone.E164()); err != nil {
			return err
		}
	}
	return nil
}

// forgetTexts leaves of the texts to a phone what the report counts, and the provider's ids.
func (t *tx) forgetTexts(key string, phone reminder.Phone) error {
	number := token(key, "", phone.E164())
	if _, err := t.Exec(`UPDATE texts SET phone = ?2, sent_to = ?2, body = '', error = '', next_poll_at = NULL
		WHERE phone_id = (SELECT phone_id FROM phones WHERE number = ?1)`, phone.E164(), number); err != nil {
		return err
	}
	_, err := t.Exec("UPDATE phones SET number = ?2 WHERE number = ?1", phone.E164(), number)
	return err
}

var (
	findForgottenSQL = db.NewBatch("SELECT id, service, account FROM bills WHERE (service, account) IN (VALUES %s)", 0, db.Text, db.Text)
	findNumbersSQL   = db.NewBatch("SELECT number FROM phones WHERE number IN (%s)", 0, db.Text)
)

// recallForgotten gives bills that are declared again, and their phones, what was
// kept of them under their tokens.
func (t *tx) recallForgotten(bills []reminder.Bill) error {
	key, err := t.forgetKey(false)
	if err != nil || key == "" {
		return err
	}
	phones, accounts := map[string]string{}, map[identity]reminder.Bill{} // by their tokens
	for _, b := range bills {
		phones[token(key, "", b.Phone.E164())] = b.Phone.E164()
		accounts[identity{b.Service, token(key, b.Service, b.Account)}] = b
	}
	if err := t.recallPhones(phones); err != nil {
		return err
	}
	return t.recallBills(accounts)
}

// recallPhone is recallForgotten for a bill that gets another phone.
func (t *tx) recallPhone(phone reminder.Phone) error {
	key, err := t.forgetKey(false)
	if err != nil || key == "" {
		return err
	}
	return t.recallPhones(map[string]string{token(key, "", phone.E164()): phone.E164()})
}

// recallPhones gives phones their texts again. phones are numbers by their tokens.
func (t *tx) recallPhones(phones map[string]string) error {
	var number string
	var found []string
	err := db.QueryBatch(t.Tx, findNumbersSQL, slices.Sorted(maps.Keys(phones)),
		func(args []any, number string) []any { return append(args, number) },
		[]sql.Scanner{db.TextTo(&number)}, func() error {
			found = append(found, number)
			return nil
		})
	if err != nil {
		return err
	}
	for _, number := range found {
		// The phone may have a row of its own by now, from another bill.
		for _, statement := range []string{
			"UPDATE texts SET phone_id = (SELECT phone_id FROM phones WHERE number = ?2) " +
				"WHERE phone_id = (SELECT phone_id FROM phones WHERE number = ?1) AND EXISTS (SELECT 1 FROM phones WHERE number = ?2)",
			"DELETE FROM phones WHERE number = ?1 AND EXISTS (SELECT 1 FROM phones WHERE number = ?2)",
			"UPDATE phones SET number = ?2 WHERE number = ?1",
		} {
			if _, err := t.Exec(statement, number, phones[number]); err != nil {
				return err
			}
		}
	}
	return nil
}

// recallBills gives bills their reminders again. accounts are bills by the tokens of their accounts.
func (t *tx) recallBills(accounts map[identity]reminder.Bill) error {
	type old struct {
		id int64
		identity
	}
	var o old
	var found []old
	err := db.QueryBatch(t.Tx, findForgottenSQL, slices.Collect(maps.Keys(accounts)),
		func(args []any, i identity) []any { return append(args, i.service, i.account) },
		[]sql.Scanner{db.NumberTo(&o.id), db.TextTo(&o.service), db.TextTo(&o.account)}, func() error {
			found = append(found, o)
			return nil
		})
	if err != nil {
		return err
	}
	for _, o := range found {
		b := accounts[o.identity]
		const ofBill = "(SELECT id FROM bills WHERE service = ?2 AND account = ?3)"
		for _, statement := range []string{
			"UPDATE reminders SET bill_id = " + ofBill + " WHERE bill_id = ?1",
			"UPDATE foreign_messages SET bill_id = " + ofBill + " WHERE bill_id = ?1",
		} {
			if _, err := t.Exec(statement, o.id, b.Service, b.Account); err != nil {
				return err
			}
		}
	}
	return nil
}

// For how long the ids of the provider's messages are kept of a person who was forgotten: its
// list is compared with the store as far back.
const keepProviderIDs = 70 * 24 * time.Hour

// trimForgotten removes what is of no more use under tokens: reminders of due dates that are
// over, bills without any, and the provider's ids.
func (t *tx) trimForgotten(now time.Time) error {
	if key, err := t.forgetKey(false); err != nil || key == "" {
		return err
	}
	today := reminder.DateOf(now.UTC())
	tokens := fmt.Sprintf("'%s' AND account < '%s'", forgotten, afterForgotten)
	of := "bills WHERE " + ofAnyService + " AND account >= " + tokens + " AND state = 'removed'"
	numbers := fmt.Sprintf("phones WHERE number >= '%s' AND number < '%s'", forgotten, afterForgotten)
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		// A day later than elsewhere: today is that of UTC.
		{"DELETE FROM reminders WHERE due_date < ?1 AND bill_id IN (SELECT id FROM " + of + ")",
			[]any{today.AddDays(-1).String()}},
		{"DELETE FROM bills WHERE id IN (SELECT id FROM " + of + " AND checked_at < ?1)" +
			" AND NOT EXISTS (SELECT 1 FROM reminders WHERE bill_id = bills.id)",
			[]any{now.AddDate(0, 0, -1).UnixMilli()}},
		{"UPDATE texts SET phone = '', sent_to = '', provider_id = '' WHERE phone <> '' AND created_at < ?1" +
			" AND phone_id IN (SELECT phone_id FROM " + numbers + ")",
			[]any{now.Add(-keepProviderIDs).UnixMilli()}},
		{"UPDATE phones SET number = 'gone:' || phone_id WHERE phone_id IN (SELECT phone_id FROM " + numbers +
			") AND NOT EXISTS (SELECT 1 FROM texts WHERE texts.phone_id = phones.phone_id AND created_at >= ?1)",
			[]any{now.Add(-keepProviderIDs).UnixMilli()}},
	} {
		r, err := t.Exec(statement.sql, statement.args...)
		if err != nil {
			return err
		}
		if strings.HasPrefix(statement.sql, "DELETE FROM bills") {
			n, err := r.RowsAffected()
			if err == nil {
				err = t.countBills(-n)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
