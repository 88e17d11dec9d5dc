package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// declared and inactive are the conditions of the indexes bills_declared and
// bills_inactive, to the letter, as inDoubt is of its own. What was imported is not
// removed by a declaration.
const (
	declared = "source <> 'import'"
	inactive = "state <> 'active'"
)

// saved are the columns that saveBills writes, after the id.
const saved = "state, customer, balance, balance_at, due_date, biller_verified, registered_at, checked_at, failures, last_error, usual"

var saveBillsSQL = db.NewBatch("WITH v (id, "+saved+`) AS (VALUES %s) UPDATE bills
	SET state = v.state, customer = v.customer, balance = v.balance, balance_at = v.balance_at, due_date = v.due_date,
	biller_verified = v.biller_verified, registered_at = v.registered_at, checked_at = v.checked_at,
	failures = v.failures, last_error = v.last_error, usual = v.usual FROM v WHERE bills.id = v.id`, 0,
	db.Integer, db.Text, db.Text, db.Text, db.Integer, db.Text, db.Integer, db.Integer, db.Integer, db.Integer, db.Text, db.Text)

// saveBills writes what Almara Pay said of bills, and their states. Each may be
// there only once.
func (t *tx) saveBills(bills []reminder.Bill) error {
	_, err := db.ExecBatch(t.Tx, saveBillsSQL, bills, func(args []any, b reminder.Bill) []any {
		return append(args, b.ID, string(b.State), b.Customer, money(b.Balance), millis(b.BalanceAt), day(b.DueDate), knownFlag(b.Verified),
			millis(b.RegisteredAt), millis(b.CheckedAt), int64(b.Failures), b.LastError, money(b.Usual))
	})
	return err
}

var billsByIDSQL = db.NewBatch("SELECT "+billColumns+" FROM bills WHERE id IN (%s)", 0, db.Integer)

// billsOf reads bills by their ids, many with each statement.
func (t *tx) billsOf(ids []int64) (map[int64]reminder.Bill, error) {
	all := make(map[int64]reminder.Bill, len(ids))
	var b reminder.Bill // each in turn
	columns := columnsOfBill(&b)
	err := db.QueryBatch(t.Tx, billsByIDSQL, ids, db.ID, columns, func() error {
		all[b.ID] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read bills: %w", err)
	}
	return all, nil
}

// bill reads one bill by its id.
func (t *tx) bill(id int64) (reminder.Bill, error) {
	b, err := scanBill(t.Row("SELECT "+billColumns+" FROM bills WHERE id = ?1", id))
	if err != nil {
		return b, fmt.Errorf("read bill %d: %w", id, err)
	}
	return b, nil
}

// BillsOfAccount reads the bills of an account number, of any service.
func (s *Store) BillsOfAccount(ctx context.Context, account string) ([]reminder.Bill, error) {
	bills, err := selected(s.read(ctx), Selector{Account: account}, reminder.Bill{}, selectorPage)
	if err != nil {
		return nil, fmt.Errorf("read bills of an account: %w", err)
	}
	return bills, nil
}

// BillsOf reads the bills of a phone.
func (s *Store) BillsOf(ctx context.Context, p reminder.Phone) ([]reminder.Bill, error) {
	rows := s.read(ctx).Query("SELECT "+billColumns+" FROM bills WHERE phone = ?1", p.E164())
	all, err := db.Collect(rows, scanBill)
	if err != nil {
		return nil, fmt.Errorf("read bills of a phone: %w", err)
	}
	return all, nil
}

// BillFilter narrows Bills. Empty fields match everything.
type BillFilter struct {
	State   reminder.BillState
	Account string
	Phone   reminder.Phone
	Held    reminder.Reason // with a reminder that is held for this
}

// Watched is a bill with the instants at which it is next due in the jobs; zero
// means that the job need not.
type Watched struct {
	reminder.Bill
	NextCheck  time.Time // register or recheck
	NextRemind time.Time
}

// NotVerified counts the bills of which Almara Pay says that the biller has not
// confirmed the account.
func (s *Store) NotVerified(ctx context.Context) (n int, err error) {
	const query = "SELECT count(*) FROM bills WHERE biller_verified = 0 AND state <> 'removed'"
	if err := s.read(ctx).Row(query).Scan(&n); err != nil {
		return 0, fmt.Errorf("count bills that are not verified: %w", err)
	}
	return n, nil
}

// Bills calls each for every bill that matches, in the order of their ids,
// and stops at its first error. It holds one page in memory at a time.
func (s *Store) Bills(ctx context.Context, f BillFilter, each func(Watched) error) error {
	const page = 500
	where, args := "", []any{int64(0), page}
	if f.State != "" {
		args = append(args, f.State)
		where += fmt.Sprintf(" AND state = ?%d", len(args))
		if f.State != reminder.BillActive {
			where += " AND " + inactive
		}
	}
	if f.Account != "" {
		args = append(args, f.Account)
		where += fmt.Sprintf(" AND %s AND account = ?%d", ofAnyService, len(args))
	}
	if f.Phone != "" {
		args = append(args, f.Phone.E164())
		where += fmt.Sprintf(" AND phone = ?%d", len(args))
	}
	if f.Held != "" {
		args = append(args, f.Held)
		where += fmt.Sprintf(` AND state IN ('active', 'paused')
			AND id IN (SELECT bill_id FROM reminders WHERE outcome = 'held' AND reason = ?%d)`, len(args))
	}
	query := "SELECT " + billColumns + `,
			coalesce((SELECT at FROM due_register WHERE bill_id = bills.id), (SELECT at FROM due_recheck WHERE bill_id = bills.id)),
			(SELECT at FROM due_remind WHERE bill_id = bills.id)
		FROM bills WHERE id > ?1` + where + " AND " + notForgotten + " ORDER BY id LIMIT ?2 + 0"
	for {
		rows := s.read(ctx).Query(query, args...)
		bills, err := db.Collect(rows, scanWatched)
		if err != nil {
			return fmt.Errorf("read bills: %w", err)
		}
		for _, b := range bills {
			if err := each(b); err != nil {
				return err
			}
			args[0] = b.ID
		}
		if len(bills) < page {
			return nil
		}
	}
}

// servicesOfBills are the services that have bills, each found by one step in the
// index on service and account.
const servicesOfBills = `WITH RECURSIVE services (service) AS (
		SELECT min(service) FROM bills
		UNION ALL
		SELECT (SELECT min(service) FROM bills WHERE service > services.service) FROM services WHERE services.service IS NOT NULL
	) SELECT service FROM services WHERE service IS NOT NULL`

// ofAnyService has an account found by that index: no other has accounts.
const ofAnyService = "service IN (" + servicesOfBills + ")"

// Accounts are the first n accounts that begin with these characters.
func (s *Store) Accounts(ctx context.Context, begin string, n int) (accounts []string, err error) {
	services, err := s.services(ctx)
	if err != nil {
		return nil, err
	}
	for _, service := range services {
		rows := s.read(ctx).Query(`SELECT account FROM bills WHERE service = ?1 AND account >= ?2 AND account < ?3
			ORDER BY account LIMIT ?4 + 0`, service, begin, begin+"\U0010FFFF", n)
		own, err := db.Collect(rows, scanString)
		if err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		accounts = append(accounts, own...)
	}
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	return accounts[:min(n, len(accounts))], nil
}

// services are those that have bills.
func (s *Store) services(ctx context.Context) ([]string, error) {
	rows := s.read(ctx).Query(servicesOfBills)
	all, err := db.Collect(rows, scanString)
	if err != nil {
		return nil, fmt.Errorf("read services: %w", err)
	}
	return all, nil
}

func scanString(r db.Scanner) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

func scanWatched(r db.Scanner) (w Watched, err error) {
	w.Bill, err = scanBill(withMore{r, []any{db.InstantTo(&w.NextCheck), db.InstantTo(&w.NextRemind)}})
	return w, err
}

// withMore scans further columns behind those its caller knows of.
type withMore struct {
	db.Scanner
	more []any
}

func (m withMore) Scan(dest ...any) error { return m.Scanner.Scan(append(dest, m.more...)...) }

// ForeignPhones calls each for every bill, other than the removed ones, whose phone
// does not begin with code, such as "+254".
func (s *Store) ForeignPhones(ctx context.Context, code string, each func(reminder.Phone)) error {
	end := code[:len(code)-1] + string(code[len(code)-1]+1) // the first text behind all that begin with code
	rows := s.read(ctx).Query("SELECT phone, state FROM bills WHERE phone < ?1 OR phone >= ?2", code, end)
	scan := func(r db.Scanner) (b reminder.Bill, err error) { return b, r.Scan(&b.Phone, &b.State) }
	err := db.Each(rows, scan, func(b reminder.Bill) error {
		if b.State != reminder.BillRemoved {
			each(b.Phone)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read phones of other countries: %w", err)
	}
	return nil
}

// languageSample bounds how many bills of a service InUse reads.
const languageSample = 1000

// InUse finds the services that have bills, and the languages of these, ""
// being that of the policy; of a service with very many bills, those of the
// first thousand. It costs no more in a store of ten million.
func (s *Store) InUse(ctx context.Context) (languages map[string]map[string]bool, err error) {
	services, err := s.services(ctx)
	if err != nil {
		return nil, err
	}
	languages = map[string]map[string]bool{}
	for _, service := range services {
		rows := s.read(ctx).Query(
			"SELECT language, state FROM bills WHERE service = ?1 ORDER BY account LIMIT ?2 + 0", service, languageSample)
		bills, err := db.Collect(rows, func(r db.Scanner) (b reminder.Bill, err error) { return b, r.Scan(&b.Language, &b.State) })
		if err != nil {
			return nil, fmt.Errorf("read languages: %w", err)
		}
		for _, b := range bills {
			if b.State == reminder.BillRemoved {
				continue
			}
			if languages[service] == nil {
				languages[service] = map[string]bool{}
			}
			languages[service][b.Language] = true
		}
	}
	return languages, nil
}
