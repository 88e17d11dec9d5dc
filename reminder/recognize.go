package reminder

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// reach is for how many days before or after the day of a text its due date
// may lie, and some more for catching up and for clocks that differ.
const reach = 70

// MatchesReminder reports whether a text that was sent on a day reads like a
// reminder of b: it names b's account in full, and a date within reach in the
// words of one of the policy's languages. Ambiguous sees to it that every reminder
// does so, whatever else its template says. So a text is known that another
// copy of the store has sent, under the templates of today or others.
//
// A text of somebody else's making that says both, such as a biller's notice
// of a new bill, is taken for a reminder as well: the mistake is a text too
// few, and one release by the operator.
func (p *Policy) MatchesReminder(b Bill, body string, sent Date) bool {
	account := normalize(plain(b.Account, 0))
	if !says(body, account) {
		return false
	}
	for _, language := range p.Templates.Languages() {
		for left := -reach; left <= reach; left++ {
			_, date := wordDate(language, sent.AddDays(left), left)
			// Without the date: an account may be a number of one or two digits.
			if before, after, found := strings.Cut(body, date); found && says(before+" "+after, account) {
				return true
			}
		}
	}
	return false
}

// Mentions reports whether a text names an account in full, whatever else it
// says: it may be about that account's bill.
func Mentions(body, account string) bool { return says(body, normalize(plain(account, 0))) }

// InReach reports whether a text that was sent at an instant may have been about
// a stage of the bill, as far as its day goes: its words are not known.
func (p *Policy) InReach(b Bill, sent time.Time) bool {
	return slices.ContainsFunc(p.Steps(b.DueDate), func(s Step) bool { return p.maybeSentFor(s, sent) })
}

// says reports whether word stands in the text, and not as a part of another.
func says(text, word string) bool {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for word != "" {
		before, after, found := strings.Cut(text, word)
		if !found {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		next, _ := utf8.DecodeRuneInString(after)
		if !inWord(last) && !inWord(next) {
			return true
		}
		text = after
	}
	return false
}
