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
	// PayIfRoom is how to pay, when that is the same for all bills and the text
	// costs no segment more with it, else "".
	PayIfRoom string
	// Bills is what there is to say of each, soonest due first.
	Bills []Fields
}

// wordBundle puts the bills of a text in words, as Word does with one. Leaving
// bills out is the caller's part.
func (p *Policy) wordBundle(items []BundleItem, policies Policies, today Date) (Draft, error) {
	language := p.languageOf(items[0].Bill)
	fields := p.bundleFields(items, policies, language, today)
	for {
		draft, err := payIfRoom(fields.PayIfRoom, func(pay string) (Draft, error) {
			with := fields
			with.PayIfRoom = pay
			return p.draftBundle(language, &with)
		})
		if err != nil || p.fits(draft) {
			return draft, err
		}
		if fields.Customer == "" {
			return Draft{}, fmt.Errorf("%w: %d segments for %d bills, %d allowed", ErrTooLong, draft.Count.Segments, len(items), p.MaxSegments)
		}
		fields.Customer = ""
	}
}

// draftBundle words the bills at whatever length comes out.
func (p *Policy) draftBundle(language string, fields *BundleFields) (Draft, error) {
	body, err := p.Templates.renderBundle(language, fields)
	if err != nil {
		return Draft{}, err
	}
	return Draft{Body: body, Language: language, Count: Count(body)}, nil
}

// bundleFields are what there is to say of the bills together, with how to pay as
// if there were room for it.
func (p *Policy) bundleFields(items []BundleItem, policies Policies, language string, today Date) BundleFields {
	fields := BundleFields{Count: len(items)}
	var total Money
	known := true
	for i, s := range items {
		one, _ := policies.For(s.Bill.Service).fields(s.Bill, language, today, s.Text.WithAmount)
		switch {
		case i == 0:
			fields.Customer, fields.PayIfRoom = one.Customer, one.Pay
		case fields.Customer != one.Customer:
			fields.Customer = ""
		}
		if fields.PayIfRoom != one.Pay {
			fields.PayIfRoom = ""
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
	return fields
}

// sampleItems are n bills to try a bundle on, with account numbers that differ
// in their last digit only.
func sampleItems(b Bill, n int, withAmount bool) []BundleItem {
	items := make([]BundleItem, n)
	for i := range items {
		one := b
		one.Account = b.Account[:len(b.Account)-1] + string(rune('1'+i))
		items[i] = BundleItem{&Case{Bill: one}, Decision{Text: &TextOrder{WithAmount: withAmount}}}
	}
	return items
}

// tryBundle renders the text for sample bills, as try does with one.
func tryBundle(language string, t *template.Template) error {
	p := &Policy{ServiceName: "Water", Currency: "KES", Language: language}
	p.Templates.byLanguage = map[string]texts{language: {bundle: t}}
	for _, p.Pay = range []string{"", samplePay} {
		for _, s := range sampleBills(language, p.Pay) {
			for _, n := range []int{2, 3} {
				for _, away := range []int{-2, -1, 0, 1, 2} {
					fields := p.bundleFields(sampleItems(s.bill, n, true), Policies{Default: p}, language, s.bill.DueDate.AddDays(away))
					fields.PayIfRoom = s.payIfRoom
					if _, err := p.draftBundle(language, &fields); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
