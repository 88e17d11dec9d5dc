package scheduler

import (
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// simCommit is something that speaks against texting a bill, committed while the
// daemon's calls were under way.
type simCommit struct {
	at   time.Time // true
	bill *simBill
	what string // "opt-out", "pause", "payment", or "stop" of all texts
}

// concerns reports whether it speaks against a text to a phone about an account.
func (c simCommit) concerns(to reminder.Phone, account string) bool {
	return c.bill.Account == account || c.what == "opt-out" && c.bill.Phone == to || c.what == "stop"
}

// meanwhile has something committed half a slot away from the instants at which
// calls end, some slots into a wake. The returned function waits for it.
func (s *sim) meanwhile() (wait func()) {
	dice := s.diceOf("meanwhile", s.wakes)
	if s.calm.Load() || dice.IntN(6) != 0 {
		return func() {}
	}
	d := s.simDaemon // by any of several
	c := simCommit{bill: s.bills[dice.IntN(len(s.bills))], what: pick(dice, "opt-out", "pause", "payment", "stop")}
	at := s.trueNow().Truncate(slot).Add(time.Duration(dice.IntN(6))*slot + slot/2)
	done := make(chan struct{})
	timer := time.AfterFunc(at.Sub(s.trueNow()), func() {
		defer close(done)
		if c.bill.ID != 0 && !s.wire.isDead(d) {
			c.at = s.trueNow()
			s.commit(d, c)
		}
	})
	return func() {
		if !timer.Stop() {
			<-done
		}
	}
}

func (s *sim) commit(d *simDaemon, c simCommit) {
	err := s.tryCommit(d, c)
	for tries := 0; err != nil && d.server != nil && tries < 5; tries++ { // the server was struck
		err = s.tryCommit(d, c)
	}
	if s.wire.isDead(d) {
		return
	}
	s.must(err)
	s.say("-- %s of %s, with calls under way", c.what, c.bill.Account)
	s.noteFault(s.trueNow().Add(-time.Hour), s.trueNow().Add(time.Hour), c.what)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits = append(s.commits, c)
}

func (s *sim) tryCommit(d *simDaemon, c simCommit) (err error) {
	b, now := c.bill, d.daemonNow()
	switch c.what {
	case "opt-out":
		_, err = d.Store.AddOptOuts(store.OptOut{Phone: b.Phone, Reason: reminder.OptedOut, Since: now, Source: "import", Who: "simulation"})
	case "pause":
		_, err = d.Store.Pause(s.ctx, actOn(b, now), store.Pause{})
	case "stop":
		err = d.Store.StopSending(now, reminder.Stop{Reason: reminder.AccountFault, Until: now.Add(time.Hour)})
	case "payment":
		s.owes(b, "0")
		nothing := reminder.MustMoney("0")
		d.Store.TrustClock(d.ClockCheck.stateNow().sure) // as the jobs do
		_, err = d.Store.RecordChecks(s.policies, now, store.CheckResult{BillID: b.ID, Answer: &reminder.Answer{At: now, Balance: &nothing}})
	}
	return err
}

func actOn(b *simBill, now time.Time) store.BulkOp {
	return store.BulkOp{Selector: store.Selector{Service: b.Service, Account: b.Account}, At: now, Who: "simulation"}
}

// spokenAgainst is what was committed against a text so long before the request
// began that it should not have: "" = nothing.
func (s *sim) spokenAgainst(p *post) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.commits {
		for _, account := range p.accounts {
			if p.at.Sub(c.at) > maxCheckToWrite && c.concerns(p.to, account) {
				return c.what
			}
		}
	}
	return ""
}

// afterCommits ends what was committed in the wake, or keeps it in mind.
func (s *sim) afterCommits() {
	if len(s.commits) == 0 {
		return
	}
	db := s.storeNow()
	for _, c := range s.commits {
		s.met["meanwhile: "+c.what]++
		switch c.what {
		case "opt-out":
			if s.refuse[c.bill.Phone] == nil {
				s.refuse[c.bill.Phone] = map[string]bool{}
			}
			s.refuse[c.bill.Phone][""] = true
			s.stopped = nil
		case "stop":
			s.must(db.EndStop(reminder.AccountFault))
		case "pause":
			_, err := db.Resume(s.ctx, actOn(c.bill, s.daemonNow()), s.policies)
			s.must(err)
		}
	}
	if !s.up() {
		s.must(db.Close())
	}
	s.commits = nil
	s.known.fresh = false
}
