package cli

import (
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// print prints the history: how the bill stands, its reminders, its texts, what
// happened, and what comes next.
func (h *history) print(blockers store.Blockers) {
	b := h.bill
	h.printf("%s, account %s: %s\n", h.cfg.Policies.Name(b.Service), b.Account, b.State)
	if b.Customer != "" {
		h.fact("customer", b.Customer)
	}
	h.fact("phone", b.Phone.String())
	for _, o := range h.optOuts {
		h.fact("", "not texted since "+h.stamp(o.Since)+": "+o.Reason.Info().Means+" ("+o.Source+", "+o.Who+")")
	}
	h.fact("due", h.dueSentence())
	balance := "not known"
	if b.Balance != nil {
		balance = h.policy.Currency + " " + b.Balance.Format(h.policy.Currency) + ", as Almara Pay said on " + h.stamp(b.BalanceAt)
	}
	h.fact("balance", balance)
	if notVerified(b.Verified) {
		h.fact("not verified", "the biller has not confirmed the account, says Almara Pay; it is texted all the same")
	}
	if b.LastError != "" {
		h.fact("last problem", b.LastError)
	}
	if b.State == reminder.BillPaused {
		until := "until you resume it"
		if !b.PausedUntil.IsZero() {
			until = "until " + h.stamp(b.PausedUntil)
		}
		h.fact("paused", "since "+h.stamp(b.PausedAt)+", "+until)
	}

	h.printf("\nReminders of this due date\n")
	plan := h.plan()
	if len(plan) == 0 {
		h.printf("  none: the due date is not known\n")
	}
	for _, p := range plan {
		h.row(p.Planned, fmt.Sprintf("%-14s", p.Stage), p.Sentence)
	}
	if len(h.texts) > 0 {
		h.printf("\nTexts\n")
	}
	for _, t := range h.texts {
		h.row(t.CreatedAt, fmt.Sprintf("%-14s", t.State), textSentence(t))
		for _, line := range wrap(t.Body, 79-indent) {
			h.printf("%*s%s\n", indent, "", line)
		}
	}
	h.printf("\nWhat happened\n")
	for _, e := range h.events {
		h.row(e.At, fmt.Sprintf("%-14s", happened(e.What)), e.Detail)
	}
	h.printf("\nWhat comes next\n")
	for _, c := range h.next() {
		h.row(c.At, "", c.What)
	}
	if inForce := h.blocked(blockers); len(inForce) > 0 {
		h.printf("\nIn force for all bills\n")
		for _, s := range inForce {
			h.row(time.Time{}, "", s)
		}
	}
	h.printf("\n")
}

func (h *history) printf(format string, args ...any) { fmt.Fprintf(h.app.stdout, format, args...) }

// fact is one line of how the bill stands.
func (h *history) fact(what, is string) { h.column(fmt.Sprintf("  %-14s", what), is) }

// indent is where what stands behind a date begins.
const indent = 19

// row is a dated line, with a word in a second column if there is one.
func (h *history) row(at time.Time, word, sentence string) {
	stamp := "now"
	if !at.IsZero() {
		stamp = h.stamp(at)
	}
	head := fmt.Sprintf("  %-*s", indent-2, stamp)
	if word != "" {
		head += word + " "
	}
	h.column(head, sentence)
}

// column prints a head and words that are wrapped behind it.
func (h *history) column(head, words string) {
	width := len([]rune(head))
	for i, line := range wrap(words, max(79-width, 30)) {
		if i > 0 {
			head = strings.Repeat(" ", width)
		}
		h.printf("%s\n", strings.TrimRight(head+line, " "))
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
