package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"duewatch/reminder"
)

// billKey is what Almara Pay knows a bill number by.
type billKey struct{ Service, Account string }

// bill is one bill number as the biller keeps it. It is also its own form in
// the state file.
type bill struct {
	Service     string          `json:"service"`
	Account     string          `json:"account"`
	Customer    string          `json:"customer"`
	Balance     *reminder.Money `json:"balance"`  // nil = not known
	DueDate     reminder.Date   `json:"due_date"` // zero = not known
	Registered  bool            `json:"registered"`
	Phone       string          `json:"phone,omitempty"` // digits, as sent
	Description string          `json:"description,omitempty"`
	RemindMe    bool            `json:"remind_me"`
}

func (b *bill) key() billKey { return billKey{b.Service, b.Account} }

// Bill is a bill number as the sandbox keeps it.
type Bill struct {
	Service     string          `json:"service"`
	Account     string          `json:"account"`
	Customer    string          `json:"customer"`
	Balance     *reminder.Money `json:"balance"`    // nil = not known
	DueDate     reminder.Date   `json:"due_date"`   // zero = not known
	Registered  bool            `json:"registered"` // false = only Pay or Move has seen it
	Phone       reminder.Phone  `json:"phone"`      // "" = none given
	Description string          `json:"description"`
	RemindMe    bool            `json:"remind_me"` // RemindMeDueDate of the latest POST
}

func (b *bill) public() Bill {
	out := Bill{
		Service: b.Service, Account: b.Account, Customer: b.Customer, Balance: b.Balance, DueDate: b.DueDate,
		Registered: b.Registered, Description: b.Description, RemindMe: b.RemindMe,
	}
	if b.Phone != "" {
		out.Phone = reminder.Phone("+" + b.Phone)
	}
	return out
}

// refusal is Almara Pay's no to a bill number: a status and a reason.
type refusal struct {
	status int
	reason string
}

// scripted lets a test say by an account number what the biller knows of it:
//
//	REJECT…         refused: 400 and a reason. REJECT200… refuses with 200, since
//	                the status of a refusal is not documented
//	DUE+3…          due 3 days after it was first seen; DUE+0…, DUE-5… in the same way
//	UNKNOWN-DUE…    the due date is not known
//	…PAID…          after one of these or at the start: the balance is 0
//	…CREDIT…        the balance is -150.75
//	…NOBALANCE…     the balance is not known
//
// So DUE+0-PAID-0007 is due today and paid. What is not said is the default:
// due in 3 days, 1250.50 owed. The rest of the account number makes it unique.
var scripted = regexp.MustCompile(`^(?:DUE([+-]\d{1,4})|(UNKNOWN-DUE)|REJECT(\d{3})?)?-?(PAID|CREDIT|NOBALANCE)?`)

// firstSeen is the bill as it is when its number is first seen: a sample, a
// scripted one, or one made up from the account number.
func (s *Sandbox) firstSeen(k billKey) (*bill, *refusal) {
	today := s.today()
	if i, ok := s.samples[k]; ok {
		c := Samples(today)[i]
		if c.Rejected {
			return nil, &refusal{http.StatusBadRequest, "Account number number is invalid."}
		}
		return &bill{Service: k.Service, Account: k.Account, Customer: c.Customer, Balance: c.Balance, DueDate: c.DueDate}, nil
	}
	b := madeUp(k, today)
	m := scripted.FindStringSubmatch(k.Account)
	if m[0] == "" || m[0] == "-" {
		return b, nil
	}
	if strings.HasPrefix(m[0], "REJECT") {
		status := http.StatusBadRequest
		if n, _ := strconv.Atoi(m[3]); n >= 200 && n <= 599 {
			status = n
		}
		return nil, &refusal{status, "Account number number is invalid."}
	}
	b.DueDate = today.AddDays(3)
	if days, err := strconv.Atoi(m[1]); err == nil {
		b.DueDate = today.AddDays(days)
	} else if m[2] != "" {
		b.DueDate = reminder.Date{}
	}
	switch m[4] {
	case "PAID":
		b.Balance = money("0")
	case "CREDIT":
		b.Balance = money("-150.75")
	case "NOBALANCE":
		b.Balance = nil
	default:
		b.Balance = money("1250.50")
	}
	return b, nil
}

// madeUp is the bill that a hash of service and account gives: due 5 days ago to 25
// days ahead (1 in 20 not known), 7 in 10 owing up to 20,000, 2 in 10 paid, 1
// in 10 in credit.
func madeUp(k billKey, today reminder.Date) *bill {
	h := hash(k)
	pick := func(n uint64) int {
		h ^= h >> 33
		h *= 0xff51afd7ed558ccd
		h ^= h >> 33
		return int(h % n)
	}
	b := &bill{Service: k.Service, Account: k.Account}
	b.Customer = firstNames[pick(uint64(len(firstNames)))] + " " + lastNames[pick(uint64(len(lastNames)))]
	if pick(20) != 0 {
		b.DueDate = today.AddDays(pick(31) - 5)
	}
	cents := pick(1_990_000) + 10_000
	switch n := pick(10); {
	case n < 7:
		b.Balance = money(fmt.Sprintf("%d.%02d", cents/100, cents%100))
	case n < 9:
		b.Balance = money("0")
	default:
		b.Balance = money(fmt.Sprintf("-%d.%02d", cents/1000, cents%100))
	}
	return b
}

func hash(k billKey) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(k.Service + "\x00" + k.Account))
	return h.Sum64()
}

func money(s string) *reminder.Money {
	m := reminder.MustMoney(s)
	return &m
}

// change applies f to the bill number, which it makes if it is new, and saves it.
// It returns the bill as it is then.
func (s *Sandbox) change(k billKey, f func(*bill)) (bill, *refusal, error) {
	b, no, gen := s.changeInMemory(k, f)
	if no != nil {
		return bill{}, no, nil
	}
	return b, nil, s.save(gen)
}

func (s *Sandbox) changeInMemory(k billKey, f func(*bill)) (bill, *refusal, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bills[k]
	var old bill
	if ok {
		old = *b
	} else {
		var no *refusal
		if b, no = s.firstSeen(k); no != nil {
			return bill{}, no, 0
		}
		s.bills[k] = b
	}
	f(b)
	if ok && *b == old {
		return *b, nil, s.state.changes.Load() // not changed, but its first save may be under way
	}
	return *b, nil, s.state.changed()
}

// lookup is the bill number as it is; false when it was never seen.
func (s *Sandbox) lookup(k billKey) (bill, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bills[k]
	if !ok {
		return bill{}, false
	}
	return *b, true
}

// Bill is a bill number as the sandbox keeps it; false when it was never
// registered, paid or moved.
func (s *Sandbox) Bill(service, account string) (Bill, bool) {
	b, ok := s.lookup(billKey{service, account})
	return b.public(), ok
}

// Pay makes balance what is owed from now on: zero after a payment in full,
// negative for credit. The bill number need not be registered yet.
func (s *Sandbox) Pay(service, account string, balance reminder.Money) error {
	return s.edit(service, account, func(b *bill) { b.Balance = &balance })
}

// Move gives the bill another due date; the zero Date makes it not known.
func (s *Sandbox) Move(service, account string, due reminder.Date) error {
	return s.edit(service, account, func(b *bill) { b.DueDate = due })
}

func (s *Sandbox) edit(service, account string, f func(*bill)) error {
	_, no, err := s.change(billKey{service, account}, f)
	if no != nil {
		return fmt.Errorf("the sandbox refuses account %s: %s", account, no.reason)
	}
	return err
}

// setBill sets what is known of a bill; "" keeps the customer's name.
func (s *Sandbox) setBill(k billKey, customer string, balance reminder.Money, due reminder.Date) error {
	return s.edit(k.Service, k.Account, func(b *bill) {
		b.Balance, b.DueDate = &balance, due
		if customer != "" {
			b.Customer = customer
		}
	})
}

// getBills lists the bill numbers, in no order.
func (s *Sandbox) getBills(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	out := make([]Bill, 0, len(s.bills))
	for _, b := range s.bills {
		out = append(out, b.public())
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"bills": out})
}

// postBill is Pay and Move over HTTP:
// {"service": …, "account": …, "balance": "0", "due_date": "2026-05-31"}.
// A field left out stays as it is; an empty due date is the unknown one.
func (s *Sandbox) postBill(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Service string          `json:"service"`
		Account string          `json:"account"`
		Balance json.RawMessage `json:"balance"` // a number or a string
		DueDate *reminder.Date  `json:"due_date"`
	}
	if err := readJSON(w, r, &in); err != nil {
		ownError(w, http.StatusBadRequest, err)
		return
	}
	var balance *reminder.Money
	if len(in.Balance) > 0 {
		m, err := reminder.ParseMoney(strings.Trim(string(in.Balance), `"`))
		if err != nil {
			ownError(w, http.StatusBadRequest, fmt.Errorf("balance %w", err))
			return
		}
		balance = &m
	}
	err := s.edit(in.Service, in.Account, func(b *bill) {
		if balance != nil {
			b.Balance = balance
		}
		if in.DueDate != nil {
			b.DueDate = *in.DueDate
		}
	})
	if err != nil {
		ownError(w, http.StatusConflict, err)
		return
	}
	b, _ := s.Bill(in.Service, in.Account)
	writeJSON(w, http.StatusOK, b)
}
