package reminder

import (
	"fmt"
	"strings"
)

// alikeBundles is alike for texts of several bills: it must name the account
// and the due date of every bill, and tell the day it is sent on from the days
// of the other stages.
func (p *Policy) alikeBundles(language string) error {
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
	q := *p
	q.MaxSegments = 0
	for _, s := range sampleBills(language) {
		for n := 2; n <= 3; n++ {
			// words gives the text of a stage's day, after a change to each bill.
			words := func(stage Stage, change func(k int, b *Bill)) (string, error) {
				shares := sampleItems(s.bill, n, true)
				for k := range shares {
					change(k, &shares[k].Bill)
				}
				draft, err := q.WordBundle(shares, Policies{Default: &q}, s.bill.DueDate.AddDays(int(stage)))
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
			said := make(map[string]Stage, len(p.Stages))
			for _, stage := range p.Stages {
				body, err := words(stage, func(int, *Bill) {})
				if err != nil {
					continue // a fault that ParseTemplates finds
				}
				if first, twice := said[body]; twice {
					note(&stages, fmt.Sprintf("the stages %s and %s", first, stage), s.when, day)
				}
				said[body] = stage
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
