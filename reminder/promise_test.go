package reminder

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// brokenPromise names the promise to the operator that a decision breaks; ""
// when it keeps all of them. It is written from the docs and not from Decide.
func brokenPromise(s *scene, now time.Time, d Decision) string {
	p, b := s.policy, s.Bill
	steps := p.Steps(b.DueDate)
	ended := map[Stage]bool{}
	for _, r := range s.Done {
		if r.DueDate == b.DueDate && (r.Outcome == Texted || r.Outcome == Skipped) {
			ended[r.Stage] = true
		}
	}
	if !d.Next.IsZero() && !d.Next.After(now) {
		return fmt.Sprintf("decides again at %s, which is not after %s: the job would spin", shown(p, d.Next), shown(p, now))
	}
	if b.State != BillActive && (d.Ask || d.Text != nil || len(d.Records) > 0 || !d.Next.IsZero()) {
		return "does something about a bill that is " + string(b.State)
	}
	if d.Ask {
		switch {
		case s.Asked != NotAsked:
			return "asks Almara Pay twice for one decision"
		case d.Text != nil || len(d.Records) > 0 || !d.Next.IsZero():
			return "asks and decides at once"
		case s.Suppressed != "" || s.TextsToday >= p.PerNumberDaily || !isOpen(p, now):
			return "asks about a bill that must not be texted now anyway"
		}
		return ""
	}

	var texted *StageDecision
	for i, r := range d.Records {
		switch {
		case ended[r.Stage]:
			return fmt.Sprintf("%s was ended before, or twice in one decision", r.Stage)
		case r.Reason.Info().Outcome != r.Outcome:
			return fmt.Sprintf("%s is %s, which is no reason to be %s", r.Stage, r.Reason, r.Outcome)
		case r.Outcome == Held && d.Next.IsZero():
			return fmt.Sprintf("%s is held and never decided again", r.Stage)
		}
		if r.Outcome == Texted {
			texted = &d.Records[i]
		}
		if r.Outcome != Held {
			ended[r.Stage] = true
		}
	}
	for _, step := range steps {
		if !ended[step.Stage] && d.Next.IsZero() && b.State == BillActive {
			return fmt.Sprintf("%s has not ended and is never looked at again", step.Stage)
		}
	}
	if d.Text == nil && texted == nil {
		return ""
	}
	if d.Text == nil || texted == nil || d.Text.Stage != texted.Stage {
		return "the text and its record do not belong together"
	}
	return brokenText(s, now, d)
}

// brokenText is what is wrong with texting now.
func brokenText(s *scene, now time.Time, d Decision) string {
	p, b, text := s.policy, s.Bill, d.Text
	for _, step := range p.Steps(b.DueDate) {
		switch {
		case step.Stage > text.Stage && !step.At.After(now):
			return fmt.Sprintf("texts %s although %s has come", text.Stage, step.Stage)
		case step.Stage == text.Stage && (now.Before(step.At) || !now.Before(step.NotAfter)):
			return fmt.Sprintf("texts %s too early or too late", text.Stage)
		case step.Stage == text.Stage && (!text.Planned.Equal(step.At) || !text.NotAfter.Equal(step.NotAfter)):
			return "the text has other hours than its stage"
		}
	}
	to, held := s.to.To(b.Phone)
	young := !b.BalanceAt.After(now) && now.Sub(b.BalanceAt) <= p.MaxBalanceAge || s.Asked == Answered && b.BalanceAt.Equal(b.CheckedAt)
	namesAmount := strings.Contains(text.Body, p.Currency)
	switch {
	case !isOpen(p, now):
		return "texts outside the window"
	case s.Suppressed != "":
		return "texts who said no"
	case s.TextsToday >= p.PerNumberDaily:
		return "texts beyond the daily cap"
	case held != "" || to != text.To:
		return "texts a phone that the mode does not allow"
	case b.Balance != nil && b.Balance.Cmp(p.MinBalance) < 0, b.Balance != nil && b.Balance.Sign() <= 0:
		return "texts about " + b.Balance.String()
	case (b.Balance == nil || !young) && (p.StaleBalance != StaleWithoutAmount || s.Asked == NotAsked):
		return "texts on a balance that is too old"
	case namesAmount && (b.Balance == nil || !young):
		return "names an amount that may be wrong"
	case !namesAmount && young:
		return "keeps an amount to itself that is known"
	case text.Count.Segments > p.MaxSegments || text.Count.Segments == 0:
		return fmt.Sprintf("texts %d segments", text.Count.Segments)
	}
	return ""
}

// FuzzDecide puts any bill before any policy at any instant.
func FuzzDecide(f *testing.F) {
	f.Add(uint64(1), int32(-3*24*60), int64(231550), int64(1800), uint16(0))
	f.Add(uint64(2), int32(0), int64(0), int64(0), uint16(1))
	f.Add(uint64(3), int32(2*24*60), int64(-1), int64(-3600), uint16(0x0102))
	f.Add(uint64(4), int32(14*60), int64(99), int64(1<<40), uint16(0xffff))
	f.Fuzz(func(t *testing.T, seed uint64, minutes int32, cents, age int64, flags uint16) {
		r := chance(seed)
		p := randomPolicy(t, r)
		due := day("2026-01-01").AddDays(r.IntN(800))
		now := due.At(540, p.Zone).Add(time.Duration(minutes%(60*24*60)) * time.Minute)
		balance, err := ParseMoney(fmt.Sprintf("%d.%02d", cents%1e12/100, max(cents, -cents)%100))
		if err != nil {
			return
		}
		b := Bill{
			ID: int64(seed), Account: "12345678", Phone: "+254710000001", State: BillActive, DueDate: due,
			Balance: &balance, BalanceAt: now.Add(-time.Duration(age)), CheckedAt: now.Add(-time.Duration(age)),
			Failures: int(flags >> 12),
		}
		s := &scene{policy: p, to: Delivery{Mode: pick(r, ModeLive, ModeLive, ModeOff, ModeAllowlist)}}
		bit := func(n int) bool { return flags&(1<<n) != 0 }
		if bit(0) {
			b.Balance, b.BalanceAt = nil, time.Time{}
		}
		if bit(1) {
			b.CheckedAt = b.CheckedAt.Add(time.Minute) // the last answer named no balance
		}
		if bit(2) {
			b.State = pick(r, BillPending, BillPaused, BillRejected, BillRemoved)
		}
		if bit(3) {
			s.Suppressed = pick(r, OptedOut, BadNumber)
		}
		s.TextsToday = int(flags >> 4 & 3)
		for _, stage := range p.Stages {
			if r.IntN(3) == 0 {
				s.Done = append(s.Done, Reminder{DueDate: due, Stage: stage, Outcome: pick(r, Texted, Skipped, Held), Reason: pick(r, Paid, InDoubt, BalanceStale)})
			}
		}
		s.Bill = b
		for _, s.Asked = range []Asked{NotAsked, Answered, CouldNotSay, NotReached} {
			d := Decide(s.Case, p, s.to, now)
			if broken := brokenPromise(s, now, d); broken != "" {
				t.Fatalf("seed %d, due %s, at %s, asked %d: %s; %s", seed, due, shown(p, now), s.Asked, verdict(p, d), broken)
			}
		}
		if next := p.NextEval(b, s.Done, now); !next.IsZero() && next.Before(now) {
			t.Fatalf("NextEval(%s) = %s", shown(p, now), shown(p, next))
		}
		if check := p.NextCheck(b, now); !check.After(now) {
			t.Fatalf("NextCheck(%s) = %s", shown(p, now), shown(p, check))
		}
	})
}
