package cli_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// While a storm goes on, customers pay, opt out or are paused, by other
// processes than the daemon. What begins to be sent to them more than meddleBound
// after the commit should not have left. The bound of the daemon is two seconds
// to the first byte (scheduler/lastcheck.go); a second more is this test's own, on
// a machine that is kept busy.
const (
	meddleBound = 3 * time.Second
	meddleEach  = 10 // one account of so many is meddled with
	firstOwn    = 70 // the phones from here on are those of such accounts
)

func meddled(i int) bool { return i%meddleEach == 0 }

// stormPhone is the phone of an account: the sandbox keeps the numbers from …90 on
// for outcomes of their own.
func stormPhone(i int) int {
	if meddled(i) {
		return firstOwn + i/meddleEach%(90-firstOwn)
	}
	return i % firstOwn
}

// meddler commits what speaks against texts, and notes when texts come.
type meddler struct {
	world *sandbox.Sandbox
	dice  *rand.Rand

	mu      sync.Mutex
	against map[string]time.Time // account → when it was committed
	beyond  []string
	latest  time.Duration // of what came after a commit
	done    map[string]int
}

func newMeddler(world *sandbox.Sandbox, seed uint64) *meddler {
	return &meddler{world: world, dice: rand.New(rand.NewPCG(seed, 1)), against: map[string]time.Time{}, done: map[string]int{}}
}

// arrived looks at a request to the provider as it comes in.
func (m *meddler) arrived(r *http.Request) error {
	now := time.Now()
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/Messages.json") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, account := range accountIn.FindAllString(form.Get("Body"), -1) {
		at, ok := m.against[account]
		if !ok {
			continue
		}
		m.latest = max(m.latest, now.Sub(at))
		if now.Sub(at) > meddleBound {
			m.beyond = append(m.beyond, account)
		}
	}
	return nil
}

// meddle goes on until the context ends.
func (m *meddler) meddle(ctx context.Context, t *testing.T, db string) {
	var left []int
	for i := range *stormReminders {
		if meddled(i) {
			left = append(left, i)
		}
	}
	m.dice.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	var s *store.Store
	defer func() {
		if s != nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	turn := time.NewTicker(200 * time.Millisecond)
	defer turn.Stop()
	for len(left) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		if s == nil {
			if s, _ = store.OpenWriter(ctx, db); s == nil { // there is none yet
				continue
			}
		}
		i := left[0]
		left = left[1:]
		committed, err := m.commit(ctx, s, i)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			t.Error(err)
			return
		case !committed:
			left = append(left, i) // it is not registered yet
		}
	}
}

func (m *meddler) commit(ctx context.Context, s *store.Store, i int) (committed bool, err error) {
	account, now := stormAccount(i), time.Now()
	var bill store.Watched
	if err := s.Bills(ctx, store.BillFilter{Account: account}, func(w store.Watched) error { bill = w; return nil }); err != nil || bill.State != reminder.BillActive {
		return false, err
	}
	what, accounts := []string{"payments", "opt-outs", "pauses"}[m.dice.IntN(3)], []string{account}
	switch what {
	case "payments":
		nothing := reminder.MustMoney("0")
		if err := m.world.Pay(bill.Service, account, nothing); err != nil {
			return false, err
		}
		_, err = s.RecordChecks(reminder.Policies{Default: stormPolicy()}, now, store.CheckResult{BillID: bill.ID, Answer: &reminder.Answer{At: now, Balance: &nothing, DueDate: bill.DueDate}})
	case "opt-outs":
		_, err = s.AddOptOuts(store.OptOut{Phone: bill.Phone, Reason: reminder.OptedOut, Since: now, Source: "import", Who: "storm"})
		accounts = accounts[:0]
		for j := range *stormReminders {
			if stormPhone(j) == stormPhone(i) {
				accounts = append(accounts, stormAccount(j))
			}
		}
	case "pauses":
		_, err = s.Pause(ctx, store.BulkOp{Selector: store.Selector{Service: bill.Service, Account: account}, At: now, Who: "storm"}, store.Pause{})
	}
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[what]++
	for _, a := range accounts {
		if _, ok := m.against[a]; !ok {
			m.against[a] = time.Now()
		}
	}
	return true, nil
}

// spared reports whether an account may have no text.
func (m *meddler) spared(account string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.against[account]
	return ok
}

// stormPolicy is what the store needs of the daemon's to record an answer.
func stormPolicy() *reminder.Policy {
	return &reminder.Policy{Zone: time.UTC, Currency: "KES", Stages: []reminder.Stage{-3}, MaxBalanceAge: time.Hour, MinBalance: reminder.MustMoney("1")}
}
