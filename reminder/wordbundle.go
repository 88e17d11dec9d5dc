package reminder

import (
	"fmt"
	"strings"
	"text/template"
)

// BundleFields is what the template of a text for several bills sees.
type BundleFields struct {
	// Customer is the name at the billers, "" when they do not all say the
	// same, or when the text would be too long with it.
	Customer string
	// Count is the number of bills, 2 or more.
	Count int
	// Total is what is owed for all of them, with its currency; "" when one of
	// the amounts is not known well enough to be named.
	Total string
	// Bills is what there is to say of each, soonest due first.
	Bills []Fields
}

// WordBundle puts the bills of a text in words, as Word does with one. Leaving
// bills out is the caller's part.
func (p *Policy) WordBundle(shares []BundleItem, policies Policies, today Date) (Draft, error) {
	language := p.languageOf(shares[0].Bill)
	fields := BundleFields{Count: len(shares)}
	var total Money
	known := true
	for i, s := range shares {
		one, _ := policies.For(s.Bill.Service).fields(s.Bill, language, today, s.Text.WithAmount)
		switch {
		case i == 0:
			fields.Customer = one.Customer
		case fields.Customer != one.Customer:
			fields.Customer = ""
		}
		if one.Amount == "" {
			known = false
		} else {
			total = total.Plus(*s.Bill.Balance)
		}
		fields.Bills = append(fields.Bills, one)
	}
	if known {
		fields.Total = strings.TrimSpace(p.Currency + " " + total.Format(p.Currency))
	}
	for {
		body, err := p.Templates.renderBundle(language, &fields)
		if err != nil {
			return Draft{}, err
		}
		draft := Draft{Body: body, Language: language, Count: Count(body)}
		if p.fits(draft) {
			return draft, nil
		}
		if fields.Customer == "" {
			return Draft{}, fmt.Errorf("%w: %d segments for %d bills, %d allowed", ErrTooLong, draft.Count.Segments, len(shares), p.MaxSegments)
		}
		fields.Customer = ""
	}
}

// sampleItems are n bills to try a bundle on, with account numbers that differ
// in their last digit only.
func sampleItems(b Bill, n int, withAmount bool) []BundleItem {
	shares := make([]BundleItem, n)
	for i := range shares {
		one := b
		one.Account = b.Account[:len(b.Account)-1] + string(rune('1'+i))
		shares[i] = BundleItem{&Case{Bill: one}, Decision{Text: &TextOrder{WithAmount: withAmount}}}
	}
	return shares
}

// tryBundle renders the text for sample bills, as try does with one.
func tryBundle(language string, t *template.Template) error {
	p := &Policy{ServiceName: "Water", Currency: "KES", Language: language}
	p.Templates.byLanguage = map[string]texts{language: {bundle: t}}
	for _, s := range sampleBills(language) {
		for _, n := range []int{2, 3} {
			for _, away := range []int{-2, -1, 0, 1, 2} {
				if _, err := p.WordBundle(sampleItems(s.bill, n, true), Policies{Default: p}, s.bill.DueDate.AddDays(away)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
