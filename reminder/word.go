package reminder

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ErrTooLong is wrapped by the error of Word for a text of more segments than
// the policy allows, even without the customer's name.
var ErrTooLong = errors.New("text is too long")

// Fields is what a template sees: {{.Customer}}, {{.Amount}} and so on. Each
// may be used inside {{if}} or {{with}}.
type Fields struct {
	// Customer is the name at the biller, in the biller's own case, of at
	// most 40 characters. It is "" when it is not known, and when the text
	// would be too long with it.
	Customer string
	// Service is the name of the service in the config.
	Service string
	// Account is the customer's number at the service, in full.
	Account string
	// Description is the bill's own description, of at most 60 characters;
	// "" when it has none.
	Description string
	// Amount is what is owed, with its currency: "KES 2,315.50". It is ""
	// when the amount is not known well enough to be named.
	Amount string
	// DueDate is the due date: "3 March 2026", in Swahili "3 Machi 2026", in
	// other languages "03/03/2026".
	DueDate string
	// When is the due date seen from the day of sending: "today",
	// "tomorrow", "in 3 days", "yesterday", "2 days ago", in Swahili "leo",
	// "kesho", "baada ya siku 3", "jana", "siku 2 zilizopita". It is ""
	// in other languages, whose templates may not use it.
	When string
	// Days is the number of days between the day of sending and the due
	// date, in both kinds of template; never negative.
	Days int
	// Pay is how to pay the service, as the config has it: "Paybill 888880".
	// It is "" when the config does not say.
	Pay string
	// PayIfRoom is Pay where the text costs no segment more with it, else "".
	// In a bundle it is a field of BundleFields, and "" for each bill.
	PayIfRoom string
}

// Draft is a worded text.
type Draft struct {
	Body     string
	Language string
	Count    SegmentCount
}

// Word puts the reminder of b in words, as it reads when it is sent today, a
// day in the policy's zone. The language is the bill's, or the policy's when
// there is no template in the bill's. withAmount false leaves the amount out;
// it is also left out when nothing is known to be owed.
//
// A draft of more than MaxSegments segments (0 = no limit) is worded again
// without the customer's name. One still too long is an error that wraps
// ErrTooLong; other errors mean that the template cannot be rendered.
func (p *Policy) Word(b Bill, today Date, withAmount bool) (Draft, error) {
	draft, err := p.draft(b, today, withAmount)
	if err != nil || p.fits(draft) {
		return draft, err
	}
	if b.Customer != "" {
		b.Customer = ""
		if draft, err = p.draft(b, today, withAmount); err != nil || p.fits(draft) {
			return draft, err
		}
	}
	count := draft.Count
	if count.Forcing != 0 {
		return Draft{}, fmt.Errorf("%w: %d segments, %d allowed; %q forces %s",
			ErrTooLong, count.Segments, p.MaxSegments, count.Forcing, count.Encoding)
	}
	return Draft{}, fmt.Errorf("%w: %d segments, %d allowed", ErrTooLong, count.Segments, p.MaxSegments)
}

func (p *Policy) fits(d Draft) bool {
	return p.MaxSegments <= 0 || d.Count.Segments <= p.MaxSegments
}

// draft words the bill at whatever length comes out.
func (p *Policy) draft(b Bill, today Date, withAmount bool) (Draft, error) {
	return payIfRoom(plain(p.Pay, 0), func(pay string) (Draft, error) {
		return p.draftWith(b, today, withAmount, pay)
	})
}

// draftWith is draft with a given Fields.PayIfRoom.
func (p *Policy) draftWith(b Bill, today Date, withAmount bool, pay string) (Draft, error) {
	if b.DueDate.IsZero() {
		return Draft{}, errors.New("the due date is not known")
	}
	language := p.languageOf(b)
	fields, left := p.fields(b, language, today, withAmount)
	fields.PayIfRoom = pay
	body, err := p.Templates.render(language, left < 0, &fields)
	if err != nil {
		return Draft{}, err
	}
	return Draft{Body: body, Language: language, Count: Count(body)}, nil
}

// languageOf is the language in which the bill is worded.
func (p *Policy) languageOf(b Bill) string {
	if p.Templates.Has(b.Language) {
		return b.Language
	}
	return p.Language
}

// fields are what there is to say of a bill, and the days that are left until
// it is due.
func (p *Policy) fields(b Bill, language string, today Date, withAmount bool) (Fields, int) {
	fields := Fields{
		Customer:    plain(b.Customer, maxCustomer),
		Service:     plain(p.ServiceName, 0),
		Account:     plain(b.Account, 0),
		Description: plain(b.Description, maxDescription),
		Pay:         plain(p.Pay, 0),
	}
	if withAmount && b.Balance != nil && b.Balance.Sign() > 0 {
		fields.Amount = strings.TrimSpace(p.Currency + " " + b.Balance.Format(p.Currency))
	}
	left := b.DueDate.Sub(today)
	fields.Days = max(left, -left)
	fields.When, fields.DueDate = wordDate(language, b.DueDate, left)
	return fields, left
}

// What is quoted from outside is cut here. An account number is never cut: a
// wrong one would be paid to.
const (
	maxCustomer    = 40
	maxDescription = 60
)

// plain makes a value from outside fit for one line of a text: runs of white
// space and control characters become one space, braces go, since no name has
// them and they look like a template gone wrong, and what is longer than most
// characters (0 = no limit) ends at the last whole word. The case stays: what
// a biller writes in capitals may be a company.
func plain(s string, most int) string {
	if len(s) <= most || most == 0 {
		if isPlain(s) {
			return s
		}
	}
	var b strings.Builder
	b.Grow(len(s))
	n, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case r == '{' || r == '}':
			continue
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		b.WriteRune(r)
		n++
		if most > 0 && n > most {
			return cut(b.String(), most)
		}
	}
	return b.String()
}

// isPlain reports whether s is printable ASCII with single inner spaces.
func isPlain(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == '{' || c == '}' || (c == ' ' && last == ' ') {
			return false
		}
		last = c
	}
	return s == "" || last != ' '
}

// cut shortens s to at most n characters, at a space when there is one in the
// second half.
func cut(s string, n int) string {
	end, count := 0, 0
	for i := range s {
		if count == n {
			end = i
			break
		}
		count++
	}
	if i := strings.LastIndexByte(s[:end+1], ' '); i > end/2 {
		end = i
	}
	return strings.TrimRight(s[:end], " ")
}

// wordDate words a due date that is left days ahead (negative = past).
func wordDate(language string, due Date, left int) (when, date string) {
	switch base, _, _ := strings.Cut(language, "-"); base {
	case "en":
		switch {
		case left == 0:
			when = "today"
		case left == 1:
			when = "tomorrow"
		case left > 1:
			when = "in " + strconv.Itoa(left) + " days"
		case left == -1:
			when = "yesterday"
		default:
			when = strconv.Itoa(-left) + " days ago"
		}
		return when, longDate(due, due.Month().String())
	case "sw":
		switch {
		case left == 0:
			when = "leo"
		case left == 1:
			when = "kesho"
		case left > 1:
			when = "baada ya siku " + strconv.Itoa(left)
		case left == -1:
			when = "jana"
		default:
			when = "siku " + strconv.Itoa(-left) + " zilizopita"
		}
		return when, longDate(due, swahiliMonth(due.Month()))
	default:
		return "", fmt.Sprintf("%02d/%02d/%04d", due.Day(), due.Month(), due.Year())
	}
}

// wordsWhen reports whether wordDate knows the words for Fields.When.
func wordsWhen(language string) bool {
	when, _ := wordDate(language, NewDate(2026, time.March, 3), 0)
	return when != ""
}

func longDate(d Date, month string) string {
	return strconv.Itoa(d.Day()) + " " + month + " " + strconv.Itoa(d.Year())
}

func swahiliMonth(m time.Month) string {
	return [...]string{
		"Januari", "Februari", "Machi", "Aprili", "Mei", "Juni",
		"Julai", "Agosti", "Septemba", "Oktoba", "Novemba", "Desemba",
	}[m-1]
}
