package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// BillFilter narrows Bills. Empty fields match everything.
type BillFilter struct {
	State   reminder.BillState
	Account string
	Phone   reminder.Phone
	Held    reminder.Reason // with a reminder that is held for this
}

// Watched is a bill with the instants at which the jobs next look at it; zero
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
		where += fmt.Sprintf(" AND id IN (SELECT bill_id FROM reminders WHERE outcome = 'held' AND reason = ?%d)", len(args))
	}
	query := "SELECT " + billColumns + `,
			coalesce((SELECT at FROM due_register WHERE bill_id = bills.id), (SELECT at FROM due_recheck WHERE bill_id = bills.id)),
			(SELECT at FROM due_remind WHERE bill_id = bills.id)
		FROM bills WHERE id > ?1` + where + " ORDER BY id LIMIT ?2 + 0"
	for {
		rows, err := s.read(ctx).Query(query, args...)
		if err != nil {
			return fmt.Errorf("read bills: %w", err)
		}
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

// ofAnyService has an account looked for by that index: no other has accounts.
const ofAnyService = "service IN (" + servicesOfBills + ")"

// Accounts are the first n accounts that begin with these characters.
func (s *Store) Accounts(ctx context.Context, begin string, n int) (accounts []string, err error) {
	services, err := s.services(ctx)
	if err != nil {
		return nil, err
	}
	for _, service := range services {
		rows, err := s.read(ctx).Query(`SELECT account FROM bills WHERE service = ?1 AND account >= ?2 AND account < ?3
			ORDER BY account LIMIT ?4 + 0`, service, begin, begin+"\U0010FFFF", n)
		if err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		some, err := db.Collect(rows, scanString)
		if err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		accounts = append(accounts, some...)
	}
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	return accounts[:min(n, len(accounts))], nil
}

// services are those that have bills.
func (s *Store) services(ctx context.Context) ([]string, error) {
	rows, err := s.read(ctx).Query(servicesOfBills)
	if err != nil {
		return nil, fmt.Errorf("read services: %w", err)
	}
	return db.Collect(rows, scanString)
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
		rows, err := s.read(ctx).Query("SELECT language, state FROM bills WHERE service = ?1 ORDER BY account LIMIT ?2 + 0", service, languageSample)
		if err != nil {
			return nil, fmt.Errorf("read languages: %w", err)
		}
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

// Reminders reads every stage of the bill that was acted on, over all its due
// dates, oldest first.
func (s *Store) Reminders(ctx context.Context, billID int64) ([]reminder.Reminder, error) {
	rows, err := s.read(ctx).Query("SELECT "+reminderColumns+" FROM reminders WHERE bill_id = ?1 ORDER BY id", billID)
	if err != nil {
		return nil, fmt.Errorf("read reminders: %w", err)
	}
	return db.Collect(rows, scanReminder)
}

// SentText is a text as the store knows it, for explanations.
type SentText struct {
	ID         int64
	State      TextState
	Body       string
	Segments   int
	CreatedAt  time.Time
	AcceptedAt time.Time
	SettledAt  time.Time
	ProviderID string
	Code       int
	Error      string
	Billed     int    // segments, as the provider says; 0 = not said
	Price      string // decimal, negative = charged; "" = not said
	PriceUnit  string
}

// Texts reads the texts that carried reminders of the bill, oldest first.
func (s *Store) Texts(ctx context.Context, billID int64) ([]SentText, error) {
	rows, err := s.read(ctx).Query(`SELECT t.id, t.state, t.body, t.segments, t.created_at, t.accepted_at, t.settled_at,
			coalesce(t.provider_id, ''), t.error_code, t.error, coalesce(t.billed_segments, 0), coalesce(t.price, ''), coalesce(t.price_unit, '')
		FROM texts t WHERE t.id IN (SELECT text_id FROM events WHERE bill_id = ?1) ORDER BY t.id`, billID)
	if err != nil {
		return nil, fmt.Errorf("read texts: %w", err)
	}
	return db.Collect(rows, func(r db.Scanner) (x SentText, err error) {
		err = r.Scan(&x.ID, &x.State, &x.Body, &x.Segments, db.InstantTo(&x.CreatedAt), db.InstantTo(&x.AcceptedAt),
			db.InstantTo(&x.SettledAt), &x.ProviderID, &x.Code, &x.Error,
			&x.Billed, &x.Price, &x.PriceUnit)
		return x, err
	})
}

// TextsInDoubt is how many texts may or may not have reached the provider, and since
// when the oldest of them.
type TextsInDoubt struct {
	Texts  int
	Oldest time.Time
}

// InDoubt counts the texts in state unknown.
func (s *Store) InDoubt(ctx context.Context) (d TextsInDoubt, err error) {
	err = s.read(ctx).Row("SELECT count(*), min(created_at) FROM texts WHERE "+inDoubt+" AND state = 'unknown'").
		Scan(&d.Texts, db.InstantTo(&d.Oldest))
	if err != nil {
		return d, fmt.Errorf("count texts in doubt: %w", err)
	}
	return d, nil
}

// Meta reads a fact about the store; "" when it was never set.
func (s *Store) Meta(ctx context.Context, key string) (value string, err error) {
	err = s.read(ctx).Row("SELECT value FROM meta WHERE key = ?1", key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return value, nil
}

// SetMeta writes a fact about the store.
func (s *Store) SetMeta(key, value string) error {
	if err := s.do(func(t *tx) error { return t.setMeta(key, value) }); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

func (t *tx) setMeta(key, value string) error {
	_, err := t.Exec(`INSERT INTO meta (key, value) VALUES (?1, ?2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}
