package reminder

import (
	"regexp"
	"strings"
)

// What stands in for the parts of a text that change from one to the next.
const (
	someCustomer    = "Qzcustomerzq"
	someAmount      = "Qzamountzq"
	someDescription = "Qzdescriptionzq"
	someDueDate     = "Qzduedatezq"
	someWhen        = "Qzwhenzq"
	someDays        = 987654321
)

var somethingElse = regexp.MustCompile(someCustomer + "|" + someAmount + "|" + someDescription + "|" + someDueDate + "|" + someWhen + "|987654321")

// Recognizes reports whether the body reads like a reminder of b: one of the
// policy's templates with the bill's account in it, whatever the name, the
// amount and the dates. It is how a text is known that another copy of the
// store has sent. Wording that was changed since is not recognised.
func (p *Policy) Recognizes(b Bill, body string) bool {
	account := plain(b.Account, 0)
	if account == "" || !strings.Contains(body, Normalize(account)) {
		return false
	}
	for _, language := range p.Templates.Languages() {
		for variant := range 1 << 4 {
			some := func(bit int, s string) string {
				if variant&(1<<bit) == 0 {
					return ""
				}
				return s
			}
			rendered, err := p.Templates.render(language, variant&(1<<3) != 0, &Fields{
				Customer: some(0, someCustomer), Amount: some(1, someAmount), Description: some(2, someDescription),
				Service: plain(p.ServiceName, 0), Account: account, DueDate: someDueDate, When: someWhen, Days: someDays,
			})
			if err != nil {
				continue
			}
			form := "^" + somethingElse.ReplaceAllString(regexp.QuoteMeta(rendered), ".{1,60}?") + "$"
			if matched, err := regexp.MatchString(form, body); err == nil && matched {
				return true
			}
		}
	}
	return false
}
