package reminder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// household is one phone with several bills, and all around it: the daemon's
// records, Almara Pay and the provider.
type household struct {
	policies   Policies
	members    []*member
	almaraDown func(time.Time) bool // whether Almara Pay cannot answer
	refuses    func(time.Time) bool // whether the provider says a definite no
	sent       []jointSent
}

type member struct {
	Case
	owed     Money
	paidAt   time.Time
	nextEval time.Time
}

type jointSent struct {
	at     time.Time
	body   string
	shares []BundleItem
}

func (h *household) policy(m *member) *Policy { return h.policies.For(m.Bill.Service) }

// ask puts the question for each bill to Almara Pay.
func (h *household) ask(bills []Bill, now time.Time) {
	for _, b := range bills {
		m := h.member(b.ID)
		if h.almaraDown(now) || b.ID%4 == 3 && now.Minute()%2 == 0 { // and one bill is answered now and then only
			m.Asked = CouldNotSay
			m.Bill.Fail("503 Service Unavailable")
			continue
		}
		m.Asked = Answered
		balance := m.owed
		if !now.Before(m.paidAt) {
			balance = Money{}
		}
		m.Bill.Apply(Answer{At: now, Balance: &balance, DueDate: m.Bill.DueDate}, "KES")
	}
}

func (h *household) member(id int64) *member {
	return h.members[slices.IndexFunc(h.members, func(m *member) bool { return m.Bill.ID == id })]
}

// decideBundle decides about a member and those who may share its text, as the store
// does.
func (h *household) decideBundle(m *member, now time.Time) Bundle {
	p := h.policy(m)
	m.TextsToday = 0
	for _, x := range h.sent {
		if DateOf(x.at.In(p.Zone)) == DateOf(now.In(p.Zone)) {
			m.TextsToday++
		}
	}
	lead := BundleItem{&m.Case, Decide(m.Case, p, Delivery{Mode: ModeLive}, now)}
	if !p.Bundle || !lead.Ask && lead.Text == nil {
		return BundleOfOne(lead)
	}
	var others []Case
	for _, o := range h.members {
		if o != m {
			others = append(others, o.Case)
		}
	}
	return Join(lead, others, h.policies, Delivery{Mode: ModeLive}, now)
}

// remind is one decision about a member.
func (h *household) remind(t *testing.T, m *member, now time.Time) {
	t.Helper()
	j := h.decideBundle(m, now)
	if len(j.Ask) > 0 {
		if m.Asked != NotAsked {
			t.Fatalf("bill %d is asked about twice for one decision at %s", m.Bill.ID, now)
		}
		h.ask(j.Ask, now)
		h.remind(t, m, now)
		for _, m := range h.members {
			m.Asked = NotAsked
		}
		return
	}
	led := false
	for _, s := range j.Items {
		o := h.member(s.Bill.ID)
		led = led || o == m
		w := &world{scene: &scene{Case: o.Case}}
		for _, r := range s.Records {
			if old := recordOf(o.Done, o.Bill.DueDate, r.Stage); old.Final() {
				t.Fatalf("bill %d, %s, was %s and becomes %s at %s", o.Bill.ID, r.Stage, old.Reason, r.Reason, now)
			}
			made := Reminder{DueDate: o.Bill.DueDate, Stage: r.Stage, Outcome: r.Outcome, Reason: r.Reason, DecidedAt: now}
			if r.Outcome == Texted && h.refuses(now) {
				made.Outcome, made.Reason = Held, ProviderUnreachable
			}
			w.record(made)
		}
		o.Done, o.nextEval = w.Done, s.Next
		if j.Text != nil && h.refuses(now) {
			o.nextEval = earliest(now.Add(time.Minute), j.Text.NotAfter)
			if o.nextEval.Before(now) {
				t.Fatalf("a text that is useful no more at %s", now)
			}
		}
	}
	if j.Text != nil && !h.refuses(now) {
		h.sent = append(h.sent, jointSent{now, j.Text.Body, j.Items})
	}
	if !led {
		h.remind(t, m, now)
	}
}

// A month of several bills of one phone, whatever goes wrong: the promise holds
// for each of them, and the texts are fewer.
func TestAMonthOfAHousehold(t *testing.T) {
	texts, reminders := 0, 0
	for seed := range uint64(400) {
		r := chance(seed)
		a, b := randomPolicy(t, r), randomPolicy(t, r)
		b.Zone, b.ServiceName, b.MaxSegments = a.Zone, "Nairobi Water", a.MaxSegments
		for _, p := range []*Policy{a, b} {
			p.Bundle, p.BundleDays = r.IntN(4) > 0, r.IntN(4)
		}
		start := day("2026-01-01").AddDays(r.IntN(700)).At(0, a.Zone)
		h := &household{
			policies:   Policies{Default: a, ByService: map[string]*Policy{"18": b}},
			almaraDown: within(spans(r, start, 3, 2*24*time.Hour)), refuses: within(spans(r, start, 3, 12*time.Hour)),
		}
		for i := range 2 + r.IntN(5) {
			m := &member{owed: MustMoney(fmt.Sprintf("%d.50", 100+i)), paidAt: start.Add(time.Duration(r.IntN(60*24)) * time.Hour)}
			m.Bill = Bill{
				ID: int64(i + 1), Service: pick(r, "17", "18"), Account: fmt.Sprintf("777-%d", i), Phone: "+254710000001",
				State: BillActive, DueDate: DateOf(start).AddDays(10 + r.IntN(4)), Language: pick(r, "en", "en", "sw"),
			}
			m.nextEval = h.policy(m).NextEval(m.Bill, nil, start)
			h.members = append(h.members, m)
		}
		for now, n := start, 0; now.Before(start.AddDate(0, 0, 40)); n++ {
			if n > 50_000 {
				t.Fatalf("seed %d: the job spins at %s", seed, now)
			}
			for _, m := range h.members {
				if !m.nextEval.IsZero() && !m.nextEval.After(now) {
					h.remind(t, m, now)
				}
			}
			next := start.AddDate(0, 0, 41)
			for _, m := range h.members {
				if !m.nextEval.IsZero() {
					next = earliest(next, m.nextEval)
				}
			}
			now = earliest(next.Add(time.Minute-time.Nanosecond).Truncate(time.Minute), start.AddDate(0, 0, 41))
		}
		texts += len(h.sent)
		reminders += h.judge(t, seed)
	}
	if texts >= reminders {
		t.Errorf("%d texts for %d reminders: nothing is shared", texts, reminders)
	}
	t.Logf("%d texts with %d reminders in 400 months", texts, reminders)
}

// judge reads what the provider got.
func (h *household) judge(t *testing.T, seed uint64) (reminders int) {
	t.Helper()
	most := max(h.policies.Default.PerNumberDaily, h.policies.ByService["18"].PerNumberDaily)
	daily, once := map[Date]int{}, map[string]bool{}
	for _, x := range h.sent {
		today := DateOf(x.at.In(h.policies.Default.Zone))
		if daily[today]++; daily[today] > most {
			t.Fatalf("seed %d: %d texts on %s, %d allowed", seed, daily[today], today, most)
		}
		for _, s := range x.shares {
			reminders++
			m := h.member(s.Bill.ID)
			p := h.policy(m)
			stage := fmt.Sprint(s.Bill.ID, " ", s.Text.Stage)
			switch {
			case once[stage]:
				t.Fatalf("seed %d: %s twice", seed, stage)
			case !strings.Contains(x.body, s.Bill.Account):
				t.Fatalf("seed %d: %s is not in %q", seed, s.Bill.Account, x.body)
			case !isOpen(p, x.at):
				t.Fatalf("seed %d: a text about %s at %s, outside its window", seed, s.Bill.Account, x.at)
			case strings.Contains(x.body, m.owed.Format("KES")) && x.at.Add(-p.MaxBalanceAge).After(m.paidAt):
				t.Fatalf("seed %d: %q names %s, paid %s before", seed, x.body, m.owed.Format("KES"), x.at.Sub(m.paidAt))
			}
			once[stage] = true
		}
		for _, m := range h.members { // nobody else is in the words
			if named := slices.ContainsFunc(x.shares, func(s BundleItem) bool { return s.Bill.ID == m.Bill.ID }); !named && strings.Contains(x.body, m.Bill.Account) {
				t.Fatalf("seed %d: %q names %s, which has no part in it", seed, x.body, m.Bill.Account)
			}
		}
	}
	for _, m := range h.members {
		for _, step := range h.policy(m).Steps(m.Bill.DueDate) {
			if step.At.Before(step.NotAfter) && !recordOf(m.Done, m.Bill.DueDate, step.Stage).Final() {
				t.Fatalf("seed %d: %s of %s has not ended", seed, step.Stage, m.Bill.Account)
			}
		}
	}
	return reminders
}
