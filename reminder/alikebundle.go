package reminder

import "fmt"

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
	for _, s := range sparser(language) {
		for n := 2; n <= 3; n++ {
			// words gives the text of a stage's day, after a change to the k-th bill.
			words := func(stage Stage, k int, change func(*Bill)) (string, error) {
				shares := sampleShares(s.bill, n, true)
				change(&shares[k].Bill)
				draft, err := q.WordBundle(shares, Policies{Default: &q}, s.bill.DueDate.AddDays(int(stage)))
				return draft.Body, err
			}
			said := make(map[string]Stage, len(p.Stages))
			for _, stage := range p.Stages {
				body, err := words(stage, 0, func(*Bill) {})
				if err != nil {
					continue // a fault that ParseTemplates finds
				}
				if first, twice := said[body]; twice {
					note(&stages, fmt.Sprintf("the stages %s and %s", first, stage), s.when, day)
				}
				said[body] = stage
				for k := range n {
					for _, change := range []func(*Bill){
						func(b *Bill) { b.Account = "2" + b.Account[1:] },
						func(b *Bill) { b.Account = b.Account[:6] + "9" },
					} {
						if other, err := words(stage, k, change); err == nil && other == body {
							note(&accounts, "two accounts", s.when, "name .Account of each of .Bills in full")
						}
					}
					if other, err := words(stage, k, func(b *Bill) { b.DueDate = nextDueDate }); err == nil && other == body {
						note(&dates, "two due dates", s.when, "name .DueDate of each of .Bills")
					}
				}
			}
		}
	}
	return alikeError(accounts, stages, dates)
}
