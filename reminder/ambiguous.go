package reminder

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Ambiguous finds the templates under which two texts of one phone could have the
// same words. A text of unknown outcome is looked up in the provider's message
// list by its phone and its words: if another text could have these words too,
// one that was lost would pass for sent, and its customer would never hear of
// the bill.
//
// Two bills have to be told apart by their account numbers in full, two stages
// of a due date by the day, and one due date from the next by its date: these
// always differ. The customer's name, the description and the amount tell
// nothing apart, for they may be equal, or missing.
//
// Every language is tried, and of its texts those that the policy's stages
// use, each on the day its stage is planned for. The error is nil, or an
// errors.Join of one *TemplateError for each text at fault, in the order of
// language, before first; it says what to add.
func (p *Policy) Ambiguous() error {
	var faults []error
	for _, language := range p.Templates.Languages() {
		// Ascending stages begin with those before the due date.
		for _, kind := range []string{kindBefore, kindAfter} {
			if err := p.sameWords(language, kind); err != nil {
				faults = append(faults, &TemplateError{language, kind, err})
			}
		}
		if p.Bundle && p.Templates.bundles(language) {
			if err := p.sameWordsInBundles(language); err != nil {
				faults = append(faults, &TemplateError{language, kindBundle, err})
			}
		}
	}
	return errors.Join(faults...)
}

// sameWords says how two texts of one kind can have the same words; nil when they cannot.
func (p *Policy) sameWords(language, kind string) error {
	var accounts, stages, dates string // what cannot be told apart, and what to add
	note := func(fault *string, format string, args ...any) {
		if *fault == "" {
			*fault = fmt.Sprintf(format, args...)
		}
	}
	day := ".When or .Days"
	if !wordsWhen(language) {
		day = ".Days"
	}
	for _, s := range sampleBills(language, plain(p.Pay, 0)) {
		stageOf := make(map[string]Stage, len(p.Stages))
		for _, stage := range p.Stages {
			body, err := p.at(stage, s)
			if err != nil {
				if templateKind(stage) == kind {
					return err
				}
				continue // a fault of the other text
			}
			first, twice := stageOf[body]
			stageOf[body] = stage
			if templateKind(stage) != kind {
				continue
			}
			switch {
			case twice && templateKind(first) != kind:
				note(&stages, "for the stages %s and %s%s (word them differently)", first, stage, s.when)
			case twice:
				note(&stages, "for the stages %s and %s%s (name %s)", first, stage, s.when, day)
			}
			for _, account := range similarAccounts {
				other := s
				other.bill.Account = account
				if p.saysToo(body, stage, other) {
					note(&accounts, "for two accounts%s (name .Account in full)", s.when)
				}
			}
			other := s
			other.bill.DueDate = nextDueDate
			if p.saysToo(body, stage, other) {
				note(&dates, "for two due dates%s (name .DueDate)", s.when)
			}
		}
	}
	return ambiguousError(accounts, stages, dates)
}

// ambiguousError joins what cannot be told apart; nil when all are empty.
func ambiguousError(faults ...string) error {
	var all []string
	for _, fault := range faults {
		if fault != "" {
			all = append(all, fault)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("can give two texts of one phone the same words, so that one that was lost would pass for sent: %s",
		strings.Join(all, "; "))
}

// AmbiguousServices is a text of a service that can have the same words as one of
// another service: two bills with the same account number could not be told
// apart.
type AmbiguousServices struct {
	Service, Other  string // ids
	Language, Which string // of Service's text
}

// Ambiguous finds the services of which two texts could have the same words, for
// Policy.Ambiguous cannot: it knows one service alone. Each service is held against
// those before it in the order of ids, and each of its texts is named once.
func (p Policies) Ambiguous() (faults []AmbiguousServices) {
	var stages []Stage
	ids := slices.Sorted(maps.Keys(p.ByService))
	for _, id := range ids {
		stages = append(stages, p.ByService[id].Stages...)
	}
	slices.Sort(stages)
	stages = slices.Compact(stages)
	whose := map[string]string{} // the service that has these words
	for _, id := range ids {
		q := p.ByService[id]
		for _, language := range q.Templates.Languages() {
			for _, s := range sampleBills(language, plain(q.Pay, 0)) {
				for _, stage := range stages { // on a late day, a text reads like another stage's
					fault := AmbiguousServices{id, "", language, templateKind(stage)}
					if !slices.ContainsFunc(q.Stages, func(own Stage) bool { return templateKind(own) == fault.Which }) {
						continue
					}
					body, err := q.at(stage, s)
					if err != nil {
						continue // a fault of that service alone
					}
					if fault.Other = whose[body]; fault.Other == "" {
						whose[body] = id
					} else if fault.Other != id && !slices.Contains(faults, fault) {
						faults = append(faults, fault)
					}
				}
			}
		}
	}
	return faults
}

// at words the bill as its stage does on the day it is planned for.
func (p *Policy) at(stage Stage, s sampleBill) (string, error) {
	draft, err := p.draftWith(s.bill, s.bill.DueDate.AddDays(int(stage)), true, s.payIfRoom)
	return draft.Body, err
}

func (p *Policy) saysToo(body string, stage Stage, s sampleBill) bool {
	other, err := p.at(stage, s)
	return err == nil && other == body
}

func templateKind(stage Stage) string {
	if stage > 0 {
		return kindAfter
	}
	return kindBefore
}

// Account numbers that differ from sampleAccount in one digit only, at either
// end: a text may show just a part.
const sampleAccount = "1234567"

var similarAccounts = [...]string{"1234568", "2234567"}

// Due dates that differ only in the month.
var (
	sampleDueDate = NewDate(2026, time.March, 3)
	nextDueDate   = NewDate(2026, time.April, 3)
)

// sampleBill is a bill that lacks some of what a template may name.
type sampleBill struct {
	bill      Bill
	payIfRoom string // Fields.PayIfRoom
	when      string // " when .Amount is empty"; "" when it lacks nothing
}

// samplePay is a Policy.Pay to try templates with.
const samplePay = "Paybill 888880"

// sampleBills are sample bills from a full one to a bare one: what a template says
// may hang on what is known, and on whether there is room to say how to pay.
func sampleBills(language, pay string) []sampleBill {
	balance := MustMoney("2315.50")
	var all []sampleBill
	kinds := 1 << 3
	if pay != "" {
		kinds = 1 << 4
	}
	for lacks := range kinds {
		b := Bill{Account: sampleAccount, DueDate: sampleDueDate, Language: language}
		var empty []string
		if lacks&1 == 0 {
			b.Balance = &balance
		} else {
			empty = append(empty, ".Amount")
		}
		if lacks&2 == 0 {
			b.Customer = "Jane Wanjiru"
		} else {
			empty = append(empty, ".Customer")
		}
		if lacks&4 == 0 {
			b.Description = "House 4"
		} else {
			empty = append(empty, ".Description")
		}
		s := sampleBill{bill: b}
		if lacks&8 == 0 {
			s.payIfRoom = pay
		} else {
			empty = append(empty, ".PayIfRoom")
		}
		if len(empty) > 0 {
			verb := "is"
			if len(empty) > 1 {
				verb = "are"
			}
			s.when = " when " + strings.Join(empty, " and ") + " " + verb + " empty"
		}
		all = append(all, s)
	}
	return all
}

// sameWordsInBundles is sameWords for texts of several bills: each must name the account
// and the due date of every bill, and differ by the day that it is sent on from those
// of the other stages.
func (p *Policy) sameWordsInBundles(language string) error {
	var accounts, stages, dates string
	note := func(fault *string, says, when, remedy string) {
		if *fault == "" {
			*fault = fmt.Sprintf("for %s%s (%s)", says, when, remedy)
		}
	}
	day := "name .When or .Days of each of .Bills"
	if !wordsWhen(language) {
		day = "name .Days of each of .Bills"
	}
	for _, s := range sampleBills(language, plain(p.Pay, 0)) {
		for n := 2; n <= 3; n++ {
			// words gives the text of a stage's day, after a change to each bill.
			words := func(stage Stage, change func(k int, b *Bill)) (string, error) {
				items := sampleItems(s.bill, n, true)
				for k := range items {
					change(k, &items[k].Bill)
				}
				fields := p.bundleFields(items, Policies{Default: p}, language, s.bill.DueDate.AddDays(int(stage)))
				fields.PayIfRoom = s.payIfRoom
				draft, err := p.draftBundle(language, &fields)
				return draft.Body, err
			}
			// differs reports whether the text is another one after a change to the k-th bill alone.
			differs := func(body string, stage Stage, k int, change func(*Bill)) bool {
				other, err := words(stage, func(i int, b *Bill) {
					if i == k {
						change(b)
					}
				})
				return err != nil || other != body
			}
			stageOf := make(map[string]Stage, len(p.Stages))
			for _, stage := range p.Stages {
				body, err := words(stage, func(int, *Bill) {})
				if err != nil {
					continue // a fault that ParseTemplates finds
				}
				if first, twice := stageOf[body]; twice {
					note(&stages, fmt.Sprintf("the stages %s and %s", first, stage), s.when, day)
				}
				stageOf[body] = stage
				if !inFull(body, s.bill, n, func(change func(int, *Bill)) (string, error) { return words(stage, change) }) {
					for k := range n {
						if !differs(body, stage, k, func(b *Bill) { b.Account = "2" + b.Account[1:] }) ||
							!differs(body, stage, k, func(b *Bill) { b.Account = b.Account[:6] + "9" }) {
							note(&accounts, "two accounts", s.when, "name .Account of each of .Bills in full")
						}
					}
				}
				for k := range n {
					if !differs(body, stage, k, func(b *Bill) { b.DueDate = nextDueDate }) {
						note(&dates, "two due dates", s.when, "name .DueDate of each of .Bills")
					}
				}
			}
		}
	}
	return ambiguousError(accounts, stages, dates)
}

// inFull reports whether a text of n sample bills has the account of each in it
// and would not have it for other accounts: as it is with any sound template,
// which then need not be tried with one change after another.
func inFull(body string, sample Bill, n int, words func(change func(k int, b *Bill)) (string, error)) bool {
	other, err := words(func(_ int, b *Bill) { b.Account = "8" + b.Account[1:] })
	if err != nil {
		return false
	}
	for _, share := range sampleItems(sample, n, true) {
		if account := share.Bill.Account; !strings.Contains(body, account) || strings.Contains(other, account) {
			return false
		}
	}
	return true
}
