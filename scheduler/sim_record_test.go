package scheduler

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// delivery is one text at the provider, as far as it is about one bill, with
// what the daemon knows of it.
type delivery struct {
	sandbox.Text
	*post
	*simBill
	policy *reminder.Policy
	part   string // of the body, about this bill
	also   bool   // the text is about a bill before this one
	row    store.SentText
	stage  string // "3 days before, due 2026-03-12"
}

// names reports whether the text names the amount as what the bill owes.
func (d delivery) names(owed reminder.Money) bool {
	_, rest, found := strings.Cut(d.part, d.policy.Currency+" "+owed.Format(d.policy.Currency))
	return found && rest != "" && !unicode.IsDigit(rune(rest[0]))
}

// partAbout is what a text says of one of its accounts.
func partAbout(account, body string, of int) string {
	if of == 1 {
		return body
	}
	_, part, _ := strings.Cut(body, account)
	part, _, _ = strings.Cut(part, ";")
	part, _, _ = strings.Cut(part, ". ") // what follows is about all of them
	return part
}

// reached reports whether the customer has it, or may get it.
func (d delivery) reached() bool { return d.Status != "failed" && d.Status != "undelivered" }

var stageIn = regexp.MustCompile(`^(.+, due \d{4}-\d\d-\d\d): `)

// count says what the run has met.
func (s *sim) count(all []delivery) {
	to := map[reminder.Phone]string{}
	for _, d := range all {
		if d.also {
			s.met["bill in a text of another"]++
			continue
		}
		s.met["text"]++
		if who := to[d.To]; who != "" && who != d.simBill.Account {
			s.met["text shared its phone"]++
		}
		to[d.To] = d.simBill.Account
	}
	for _, p := range s.wire.posts {
		switch {
		case p.killed && p.sid == "":
			s.met["post cut off by a crash, and not taken"]++
		case p.killed:
			s.met["post cut off by a crash, and taken"]++
		case p.sid != "" && p.taken.Sub(p.at) > 28*time.Second:
			s.met["post that was processed late"]++
		case p.sid != "" && p.lost:
			s.met["post whose answer was lost"]++
		}
	}
	for _, b := range s.bills {
		doubted, gone := map[int64]bool{}, map[string]bool{}
		for _, e := range b.events {
			switch m := stageIn.FindStringSubmatch(e.Detail); {
			case m != nil && e.What == string(reminder.Texted):
				if gone[e.Reason] {
					s.met["text after a resend"]++
				}
				fallthrough
			case m != nil:
				s.met["record: "+e.What+", "+e.Reason]++
			case e.What == string(store.Unknown):
				doubted[e.TextID] = true
			case doubted[e.TextID]:
				s.met["text in doubt: "+e.What]++
				doubted[e.TextID] = false
			}
			gone = map[string]bool{string(reminder.OnSchedule): e.What == string(store.NotFound), string(reminder.CatchUp): e.What == string(store.NotFound)}
		}
	}
}

// deliveries finds for each text of the provider the row that it was sent for.
func (s *sim) deliveries() []delivery {
	posts := map[string]*post{}
	for _, p := range s.wire.posts {
		posts[p.sid] = p
	}
	type textIn struct {
		store   int
		id      int64
		account string
	}
	stages, taken := map[textIn]string{}, map[textIn]bool{}
	for _, b := range s.bills {
		for n := range s.generation + 1 {
			for _, e := range b.recordsIn(n).events {
				if m := stageIn.FindStringSubmatch(e.Detail); m != nil && e.What == string(reminder.Texted) {
					stages[textIn{n, e.TextID, b.Account}] = m[1]
				}
			}
			for _, x := range b.recordsIn(n).texts {
				taken[textIn{n, x.ID, b.Account}] = x.ProviderID != ""
			}
		}
	}
	var all []delivery
	for _, t := range s.sandbox.Texts() {
		accounts := simAccountsIn(t.Body)
		for i, account := range accounts {
			b, p := s.billOf(account), posts[t.SID]
			d := delivery{
				Text: t, post: p, simBill: b, policy: s.configs[p.config].policies.For(b.Service),
				part: partAbout(account, t.Body, len(accounts)), also: i > 0,
			}
			best := -1
			mine := b.recordsIn(d.store).texts
			for i, x := range mine {
				if x.ProviderID == t.SID {
					best = i
					break
				}
				early := d.clock.Sub(x.CreatedAt)
				if x.Body == t.Body && !taken[textIn{d.store, x.ID, account}] && early >= -time.Second && early < lease {
					best = i
				}
			}
			if best < 0 {
				s.found(b, "the provider has a text of %s that no row of the store was written for", s.hour(d.at))
				continue
			}
			d.row = mine[best]
			taken[textIn{d.store, d.row.ID, account}] = true
			d.stage = stages[textIn{d.store, d.row.ID, account}]
			if d.stage == "" {
				s.found(b, "text %d has no event that says for which reminder it was", d.row.ID)
			}
			// A list without words cannot tell: its reminder waits for the operator.
			inDoubt := slices.ContainsFunc(b.events, func(e store.Event) bool { return e.TextID == d.row.ID && e.Reason == string(reminder.InDoubt) })
			if d.row.ProviderID != t.SID && d.store == s.generation && !inDoubt {
				s.found(b, "the provider has text %d (%s) since %s, and the store has it as %s", d.row.ID, d.stage, s.hour(d.taken), d.row.State)
			}
			all = append(all, d)
		}
	}
	return all
}
