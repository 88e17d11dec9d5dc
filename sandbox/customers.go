package sandbox

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"duewatch/reminder"
)

// Customers pay their bills, or do not, on the clock of a sandbox: the made-up
// part of `duewatch simulate`. What they do depends on the seed and on the texts
// they get, and on nothing else. Each bill has a habit:
//
//	early     25 %  pays 1 to 10 days before the due date, whatever the texts
//	reminded  45 %  pays within two days of a text, of which each moves it with
//	                a probability of 60 %; if none did, 3 to 12 days late
//	due day   10 %  pays on the due date
//	late      15 %  pays 1 to 10 days after the due date
//	never      5 %
//
// People pay in full, between 07:00 and 21:00. The biller issues the next bill
// 1 to 5 days after a due date: 80 to 120 % of the last amount, on top of what
// is still owed, due a month after the last.
type Customers struct {
	box  *Sandbox
	seed uint64

	mu      sync.Mutex // texts are accepted by several senders at once
	bills   []*customerBill
	byPhone map[reminder.Phone][]int
	events  eventQueue

	paid    int // bills paid in full
	paidDue int // of them, by their due date
}

type habit uint8

const (
	early habit = iota
	reminded
	onDueDay
	late
	never
)

// customerBill is one bill of a customer.
type customerBill struct {
	key    billKey
	habit  habit
	usual  float64 // of one month
	owed   float64
	old    float64 // the part of owed that is from earlier months
	due    reminder.Date
	day    int // of the month on which it is due
	issues int // monthly bills after the first
	texts  int // about the present monthly bill
}

// NewCustomers makes an audience that is still empty.
func NewCustomers(box *Sandbox, seed uint64) *Customers {
	return &Customers{box: box, seed: seed, byPhone: map[reminder.Phone][]int{}}
}

// Add gives a bill a customer, and the sandbox what b says of the bill. What b does
// not say is made up.
func (c *Customers) Add(b reminder.Bill) error {
	k := billKey{b.Service, b.Account}
	dice := c.dice(k, 0)
	x := &customerBill{key: k, usual: float64(300 + dice.IntN(4700)), due: b.DueDate}
	switch n := dice.IntN(100); {
	case n < 25:
		x.habit = early
	case n < 70:
		x.habit = reminded
	case n < 80:
		x.habit = onDueDay
	case n < 95:
		x.habit = late
	default:
		x.habit = never
	}
	if x.due.IsZero() {
		x.due = c.box.today().AddDays(dice.IntN(30))
	}
	x.day = x.due.Day()
	x.owed = x.usual
	if b.Balance != nil {
		x.owed = amountOf(*b.Balance)
		x.usual = max(x.usual, x.owed)
	} else if dice.IntN(5) == 0 {
		x.owed = 0
	}
	err := c.box.setBill(k, b.Customer, moneyOf(x.owed), x.due)
	if err != nil {
		return err
	}
	i := len(c.bills)
	c.bills = append(c.bills, x)
	c.byPhone[b.Phone] = append(c.byPhone[b.Phone], i)
	c.planPayment(i, dice)
	c.planNextBill(i, dice)
	return nil
}

// planPayment schedules the payment of the present bill as if no text came.
func (c *Customers) planPayment(i int, dice *rand.Rand) {
	x := c.bills[i]
	if x.owed <= 0 {
		return
	}
	days := 0
	switch x.habit {
	case early:
		days = -1 - dice.IntN(10)
	case reminded: // unless a text moves them first
		days = 3 + dice.IntN(10)
	case onDueDay:
	case late:
		days = 1 + dice.IntN(10)
	case never:
		return
	}
	at := c.daytime(x.due.AddDays(days), dice)
	if now := c.box.now(); at.Before(now) {
		at = now.Add(time.Duration(dice.IntN(48*60)) * time.Minute)
	}
	c.schedule(at, payment, i, x.issues)
}

// planNextBill schedules the day on which the biller issues the next bill.
func (c *Customers) planNextBill(i int, dice *rand.Rand) {
	x := c.bills[i]
	at := x.due.AddDays(1+dice.IntN(5)).At(reminder.Clock(dice.IntN(6*60)), c.box.zone)
	if now := c.box.now(); at.Before(now) { // the biller is late
		at = now.Add(time.Duration(dice.IntN(5*24*60)) * time.Minute)
	}
	c.schedule(at, nextBill, i, x.issues)
}

// daytime is some minute of a day between 07:00 and 21:00.
func (c *Customers) daytime(d reminder.Date, dice *rand.Rand) time.Time {
	return d.At(reminder.Clock(7*60+dice.IntN(14*60)), c.box.zone)
}

// Texted has the customers react to a text that was accepted.
func (c *Customers) Texted(t Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range c.byPhone[t.To] {
		x := c.bills[i]
		if !strings.Contains(t.Body, x.key.Account) {
			continue
		}
		x.texts++
		dice := c.dice(x.key, uint64(x.issues)<<8|uint64(x.texts))
		if x.habit == reminded && x.owed > 0 && dice.IntN(100) < 60 {
			c.schedule(c.box.now().Add(time.Duration(5+dice.IntN(48*60))*time.Minute), payment, i, x.issues)
		}
	}
}

// Next is the instant of the next payment or new bill; zero when there is none.
func (c *Customers) Next() time.Time {
	if len(c.events) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(c.events[0].at).In(c.box.zone)
}

// Until makes all payments and new bills happen that are due by now.
func (c *Customers) Until(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.events) > 0 && c.events[0].at <= now.UnixMilli() {
		e := heap.Pop(&c.events).(event)
		if err := c.apply(e); err != nil {
			return err
		}
	}
	return nil
}

func (c *Customers) apply(e event) error {
	x := c.bills[e.bill]
	if e.kind == payment {
		return c.pay(x, e.issue)
	}
	x.issues++
	x.texts = 0
	dice := c.dice(x.key, uint64(x.issues)<<32)
	x.old = x.owed
	x.owed += x.usual * (0.8 + 0.4*dice.Float64())
	for today := c.box.today(); !x.due.After(today.AddDays(5)); {
		x.due = monthAfter(x.due, x.day)
	}
	c.planPayment(e.bill, dice)
	c.planNextBill(e.bill, dice)
	return c.box.setBill(x.key, "", moneyOf(x.owed), x.due)
}

// pay settles a monthly bill in full; the next one may have been issued meanwhile.
func (c *Customers) pay(x *customerBill, issue int) error {
	amount := x.owed
	if issue < x.issues {
		amount = x.old
	}
	if amount <= 0 {
		return nil
	}
	x.owed, x.old = x.owed-amount, 0
	c.paid++
	if issue == x.issues && !c.box.today().After(x.due) {
		c.paidDue++
	}
	return c.box.Pay(x.key.Service, x.key.Account, moneyOf(x.owed))
}

// monthAfter is the same day of the next month, or its last.
func monthAfter(d reminder.Date, day int) reminder.Date {
	last := reminder.NewDate(d.Year(), d.Month()+2, 1).AddDays(-1)
	return last.AddDays(min(day-last.Day(), 0))
}

// Paid is how many bills were paid, and how many of them by their due date.
func (c *Customers) Paid() (all, inTime int) { return c.paid, c.paidDue }

// dice are a random source for one purpose, the salt, of one bill.
func (c *Customers) dice(k billKey, salt uint64) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed^salt*0x9e3779b97f4a7c15, hash(k)))
}

func amountOf(m reminder.Money) (f float64) {
	_, _ = fmt.Sscan(m.String(), &f) // decimal text always is one
	return f
}

func moneyOf(f float64) reminder.Money { return reminder.MustMoney(fmt.Sprintf("%.2f", f)) }

func (c *Customers) schedule(at time.Time, kind eventKind, bill, issue int) {
	heap.Push(&c.events, event{at.UnixMilli(), kind, bill, issue})
}

// eventKind orders events of one instant: a bill is paid before the next one is
// issued.
type eventKind uint8

const (
	payment eventKind = iota
	nextBill
)

// event is something that happens to one bill.
type event struct {
	at    int64 // milliseconds
	kind  eventKind
	bill  int // index into Customers.bills
	issue int // the month's bill that is paid, or that the next one follows
}

// eventQueue is a heap. Its order does not depend on when events were added, so
// that the same seed gives the same end.
type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	switch a, b := q[i], q[j]; {
	case a.at != b.at:
		return a.at < b.at
	case a.bill != b.bill:
		return a.bill < b.bill
	default:
		return a.kind < b.kind
	}
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop are for package heap.
func (q *eventQueue) Push(x any) { *q = append(*q, x.(event)) }

// Pop takes the last one.
func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}
