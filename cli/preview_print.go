package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

// text shows one text to come.
func (v *preview) text(at time.Time, t store.Text) error {
	type bill struct {
		Service string `json:"service"`
		Account string `json:"account"`
		Stage   int    `json:"stage"`
		DueDate string `json:"due_date"`
		Reason  string `json:"reason"`
		// Verified is whether the biller has confirmed the account; null = not said.
		Verified *bool `json:"verified"`
	}
	var bills []bill
	late, verified := "", ""
	for _, p := range t.Parts {
		bills = append(bills, bill{p.Service, p.Account, int(p.Stage), p.DueDate.String(), string(p.Reason), p.Verified})
		if p.Reason == reminder.CatchUp {
			late = ", late"
		}
		if notVerified(p.Verified) {
			verified = ", not verified by the biller"
		}
	}
	if v.json {
		return json.NewEncoder(v.out).Encode(struct {
			Kind     string    `json:"kind"`
			At       time.Time `json:"at"`
			To       string    `json:"to"`
			Bills    []bill    `json:"bills"` // soonest due first
			Language string    `json:"language"`
			Body     string    `json:"body"`
			Segments int       `json:"segments"`
		}{"text", utc(at), v.phone(t.To), bills, t.Language, t.Body, t.Segments})
	}
	if v.csv {
		cells := append([]string{"texted"}, v.partsOf(at, t)...)
		return v.record(append(cells, t.Language, strconv.Itoa(t.Segments), v.cost(t.Segments), t.Body)...)
	}
	first, others := t.Parts[0], ""
	if n := len(t.Parts) - 1; n > 0 {
		others = " and " + countOf(n, "other bill")
	}
	about := fmt.Sprintf("%s %s%s", v.cfg.Policies.Name(first.Service), first.Account, others)
	what := fmt.Sprintf("%s%s%s, %s", first.Stage, late, verified, countOf(t.Segments, "segment"))
	v.line(at, t.To, about+", "+what, about+",\n"+what)
	for _, line := range wrap(t.Body, 68) {
		fmt.Fprintf(v.out, "           %s\n", line)
	}
	return nil
}

// unsent shows a reminder that is skipped or held.
func (v *preview) unsent(at time.Time, n store.NewRecord) error {
	b := n.Bill
	if v.json {
		return json.NewEncoder(v.out).Encode(struct {
			Kind    string    `json:"kind"` // skipped, held
			At      time.Time `json:"at"`
			To      string    `json:"to"`
			Service string    `json:"service"`
			Account string    `json:"account"`
			Stage   int       `json:"stage"`
			DueDate string    `json:"due_date"`
			Reason  string    `json:"reason"`
			Detail  string    `json:"detail,omitempty"`
		}{
			string(n.Outcome), utc(at), v.phone(b.Phone), b.Service, b.Account,
			int(n.Stage), b.DueDate.String(), string(n.Reason), n.Detail,
		})
	}
	service := v.cfg.Policies.Name(b.Service)
	if v.csv {
		return v.record(string(n.Outcome), v.hour(at), v.phone(b.Phone), service, b.Account,
			strconv.Itoa(int(n.Stage)), b.DueDate.String(), string(n.Reason))
	}
	v.line(at, b.Phone, fmt.Sprintf("%s %s, %s, %s: %s", service, b.Account, n.Stage, n.Outcome, n.Reason.Info().Means), "")
	return nil
}

// line begins a day where needed, and says of whom and what: in other words, if
// there are any, when it does not fit into one line.
func (v *preview) line(at time.Time, to reminder.Phone, what, elseWhat string) {
	at = at.In(v.cfg.Zone)
	if day := at.Format("Monday 2 January 2006"); day != v.day {
		if v.day != "" {
			fmt.Fprintln(v.out)
		}
		v.day = day
		fmt.Fprintln(v.out, day)
	}
	phone := v.phone(to)
	width := 69 - len(phone)
	lines := wrap(what, width)
	if first, second, ok := strings.Cut(elseWhat, "\n"); ok && len(lines) > 1 {
		lines = append(wrap(first, width), wrap(second, width)...)
	}
	for i, line := range lines {
		if i == 0 {
			fmt.Fprintf(v.out, "  %s  %s  %s\n", at.Format("15:04"), phone, line)
			continue
		}
		fmt.Fprintf(v.out, "  %s%s\n", strings.Repeat(" ", len(phone)+9), line)
	}
}

// printTotals is the end of the preview for people.
func (v *preview) printTotals() {
	if v.Texts > 0 {
		fmt.Fprintln(v.out)
	}
	fmt.Fprintf(v.out, "%s, %s", countOf(v.Texts, "text"), countOf(v.Segments, "segment"))
	switch {
	case v.Cost != "":
		fmt.Fprintf(v.out, ", %s %s", v.Currency, money(v.Cost, v.Currency))
	case v.Texts > 0:
		fmt.Fprint(v.out, "; notifier.price_per_segment would tell the cost")
	}
	fmt.Fprintln(v.out)
	for _, table := range []struct {
		of   string
		sums []sum
	}{{"DAY", v.Days}, {"SERVICE", v.Services}, {"LANGUAGE", v.Languages}} {
		if len(table.sums) == 0 {
			continue
		}
		fmt.Fprintln(v.out)
		v.printSums(table.of, table.sums)
	}
	printUnsent(v.out, v.Reminders)
}

// printIdle tells, beside the output, of bills that have no texts to come.
func (v *preview) printIdle() {
	is := func(n int) string {
		if n == 1 {
			return "1 bill is"
		}
		return countOf(n, "bill") + " are"
	}
	if v.Unregistered > 0 {
		fmt.Fprintf(v.stderr, "%s still to be registered with Almara Pay: when due is not known yet\n", is(v.Unregistered))
	}
	if v.Paused > 0 {
		fmt.Fprintf(v.stderr, "%s paused, with no texts to come: duewatch bills --state paused\n", is(v.Paused))
	}
}

// partsOf are the cells that say when a text leaves, to whom and about which
// bills; of several bills each cell has all, soonest due first.
func (v *preview) partsOf(at time.Time, t store.Text) []string {
	var services, accounts, stages, days, reasons []string
	for _, p := range t.Parts {
		services, accounts = append(services, v.cfg.Policies.Name(p.Service)), append(accounts, p.Account)
		stages, days, reasons = append(stages, strconv.Itoa(int(p.Stage))), append(days, p.DueDate.String()), append(reasons, string(p.Reason))
	}
	cells := []string{v.hour(at), v.phone(t.To)}
	for _, column := range [][]string{services, accounts, stages, days, reasons} {
		cells = append(cells, strings.Join(column, "; "))
	}
	return cells
}

// hour is an instant as a spreadsheet reads it, in the configured zone.
func (v *preview) hour(at time.Time) string { return at.In(v.cfg.Zone).Format("2006-01-02 15:04") }

// csvColumns is how many cells each line has; those that a skipped or held
// reminder has no use for stay empty.
const csvColumns = 12

// record prints a line for a spreadsheet.
func (v *preview) record(cells ...string) error {
	row := make([]string, csvColumns)
	for i, cell := range cells {
		if _, err := strconv.Atoi(cell); err != nil { // -7 is no formula
			cell = importer.GuardCell(cell)
		}
		row[i] = cell
	}
	w := csv.NewWriter(v.out)
	if err := w.Write(row); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	w.Flush()
	return w.Error()
}

func (v *preview) printSums(of string, sums []sum) {
	t := tableOfSums(v.out, v.Cost, of)
	for _, s := range sums {
		_ = t.row(s.cells(v.Currency, dayOf(s.Of))...) // into a buffer
	}
	_ = t.flush() // into a buffer
}

// tableOfSums is a table of texts, segments and, where a price is known, their cost, for what
// the last column names.
func tableOfSums(to io.Writer, cost, of string) *table {
	if cost == "" {
		return newTable(to, 2, "TEXTS", "SEGMENTS", of).numbers(0, 1)
	}
	return newTable(to, 3, "TEXTS", "SEGMENTS", "COST", of).numbers(0, 1, 2)
}

// cells are a row of it.
func (s sum) cells(currency, of string) []string {
	counts := []string{strconv.Itoa(s.Texts), strconv.Itoa(s.Segments)}
	if s.Cost != "" {
		counts = append(counts, money(s.Cost, currency))
	}
	return append(counts, of)
}

// printUnsent prints what is not texted, and why.
func printUnsent(w io.Writer, all []outcomeCount) {
	head := "\nReminders that are not sent\n"
	for _, e := range all {
		if e.Outcome == reminder.Texted {
			continue
		}
		fmt.Fprint(w, head)
		head = ""
		for i, line := range wrap(fmt.Sprintf("%s: %s", e.Outcome, e.Reason.Info().Means), 68) {
			if i == 0 {
				fmt.Fprintf(w, "%9d  %s\n", e.Count, line)
				continue
			}
			fmt.Fprintf(w, "           %s\n", line)
		}
	}
}

// dayOf words a day as people say it; what is no day stays as it is.
func dayOf(s string) string {
	d, err := reminder.ParseDate(s)
	if err != nil {
		return s
	}
	return fmt.Sprintf("%s %d %s %d", d.Weekday().String()[:3], d.Day(), d.Month().String()[:3], d.Year())
}

// money is a decimal text as people read it, in a currency.
func money(decimal, currency string) string {
	m, err := reminder.ParseMoney(decimal)
	if err != nil {
		return decimal
	}
	return m.Format(currency)
}
