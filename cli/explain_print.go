package cli

import (
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// tell prints the story: how the bill stands, its reminders, its texts, what
// happened, and what comes next.
func (st *history) tell(blockers store.Blockers) {
	b := st.bill
	st.printf("%s, account %s: %s\n", st.cfg.Policies.Name(b.Service), b.Account, b.State)
	if b.Customer != "" {
		st.fact("customer", b.Customer)
	}
	st.fact("phone", b.Phone.String())
	for _, o := range st.optOuts {
		st.fact("", "not texted since "+st.stamp(o.Since)+": "+o.Reason.Info().Means+" ("+o.Source+", "+o.Who+")")
	}
	st.fact("due", st.dueSentence())
	balance := "not known"
	if b.Balance != nil {
		balance = st.policy.Currency + " " + b.Balance.Format(st.policy.Currency) + ", as Almara Pay said on " + st.stamp(b.BalanceAt)
	}
	st.fact("balance", balance)
	if notVerified(b.Verified) {
		st.fact("not verified", "the biller has not confirmed the account, says Almara Pay; it is texted all the same")
	}
	if b.LastError != "" {
		st.fact("last problem", b.LastError)
	}
	if b.State == reminder.BillPaused {
		until := "until you resume it"
		if !b.PausedUntil.IsZero() {
			until = "until " + st.stamp(b.PausedUntil)
		}
		st.fact("paused", "since "+st.stamp(b.PausedAt)+", "+until)
	}

	st.printf("\nReminders of this due date\n")
	plan := st.plan()
	if len(plan) == 0 {
		st.printf("  none: the due date is not known\n")
	}
	for _, p := range plan {
		st.row(p.Planned, fmt.Sprintf("%-14s", p.Stage), p.Sentence)
	}
	if len(st.texts) > 0 {
		st.printf("\nTexts\n")
	}
	for _, t := range st.texts {
		st.row(t.CreatedAt, fmt.Sprintf("%-14s", t.State), textSentence(t))
		for _, line := range wrap(t.Body, 79-indent) {
			st.printf("%*s%s\n", indent, "", line)
		}
	}
	st.printf("\nWhat happened\n")
	for _, e := range st.events {
		st.row(e.At, fmt.Sprintf("%-14s", happened(e.What)), e.Detail)
	}
	st.printf("\nWhat comes next\n")
	for _, c := range st.next() {
		st.row(c.At, "", c.What)
	}
	if inForce := st.blocked(blockers); len(inForce) > 0 {
		st.printf("\nIn force for all bills\n")
		for _, s := range inForce {
			st.row(time.Time{}, "", s)
		}
	}
	st.printf("\n")
}

func (st *history) printf(format string, args ...any) { fmt.Fprintf(st.app.stdout, format, args...) }

// fact is one line of how the bill stands.
func (st *history) fact(what, is string) { st.column(fmt.Sprintf("  %-14s", what), is) }

// indent is where what stands behind a date begins.
const indent = 19

// row is a dated line, with a word in a second column if there is one.
func (st *history) row(at time.Time, word, sentence string) {
	stamp := "now"
	if !at.IsZero() {
		stamp = st.stamp(at)
	}
	head := fmt.Sprintf("  %-*s", indent-2, stamp)
	if word != "" {
		head += word + " "
	}
	st.column(head, sentence)
}

// column prints a head and words that are wrapped behind it.
func (st *history) column(head, words string) {
	width := len([]rune(head))
	for i, line := range wrap(words, max(79-width, 30)) {
		if i > 0 {
			head = strings.Repeat(" ", width)
		}
		st.printf("%s\n", strings.TrimRight(head+line, " "))
	}
}

// happened words an event: what the trail says in one word.
func happened(what string) string {
	switch what {
	case string(reminder.Texted): // decided; whether it was sent is another event
		return "to be texted"
	case "due_date":
		return "due date"
	case "check_failed":
		return "no answer"
	case "opted_out":
		return "opted out"
	case "opt_out_removed":
		return "opted in"
	case "declared_again":
		return "added again"
	case string(store.Unknown):
		return "in doubt"
	case string(store.NotFound):
		return "not found"
	}
	return strings.ReplaceAll(what, "_", " ")
}

func textSentence(t store.SentText) string {
	s := countOf(t.Segments, "segment")
	if t.Billed > 0 && t.Billed != t.Segments {
		s += fmt.Sprintf(", billed as %d", t.Billed)
	}
	if t.Price != "" {
		s += ", " + t.PriceUnit + " " + strings.TrimPrefix(t.Price, "-")
	}
	if t.ProviderID != "" {
		s += ", " + t.ProviderID
	}
	if t.Error != "" {
		s += ": " + t.Error
	}
	return s
}
