package cli

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

// heading is the first line for a person.
func (r *report) heading() {
	fmt.Fprintf(r.app.stdout, "From %s to %s\n", r.app.shortTime(r.period.Since, r.cfg.Zone), r.app.shortTime(r.now, r.cfg.Zone))
}

// print prints what follows the heading, for people.
func (r *report) print() error {
	t := r.counts.Total
	price := r.cfg.Notifier.PricePerSegment

	r.head("Reminders")
	r.line("texted", t.Texted, "")
	r.line("skipped", sumOf(t.Skipped), manyWords(t.Skipped))
	r.line("held now", sumOf(t.Held), manyWords(t.Held))

	r.head("Texts")
	r.line("handed over", t.HandedOver(), "")
	r.line("delivered", t.Delivered, share(t.Delivered, t.HandedOver()))
	r.line("on their way", t.OnTheWay, "")
	r.line("unconfirmed", t.Unconfirmed, "")
	r.line("failed", t.Failed, manyWords(t.Codes))
	r.line("not sent", t.NotSent, manyWords(t.Refused))
	r.line("being sent", t.BeingSent, "")
	r.line("in doubt", t.InDoubt, "")

	r.head("Segments and cost")
	r.line("counted", t.Segments, "of what was handed over")
	const silent = "the provider has said nothing yet"
	billed := silent
	if t.BilledOf > 0 {
		billed = fmt.Sprintf("for texts of %s by our count", countOf(t.BilledOf, "segment"))
	}
	r.line("billed", t.Billed, billed)
	forecast := "notifier.price_per_segment is not set"
	if cost := t.Cost(price); cost != nil {
		forecast = fmt.Sprintf("%s %s at %s a segment", r.cfg.Currency, cost.Format(r.cfg.Currency), priceWords(*price, r.cfg.Currency))
	}
	fmt.Fprintf(r.app.stdout, "  %-14s%s\n", "forecast", forecast)
	fmt.Fprintf(r.app.stdout, "  %-14s%s\n", "charged", cmp.Or(chargedWords(t.Charged), silent))

	r.head("Paid within " + inDays(r.period.PaidWithin) + " of the text")
	r.line("paid", t.Paid, fmt.Sprintf("of %d%s", t.PaidOf, shareAfter(t.Paid, t.PaidOf)))
	r.line("too early", t.TooEarly, "to say")
	if r.period.By != "" {
		return r.table()
	}
	return nil
}

func (r *report) head(s string) { fmt.Fprintf(r.app.stdout, "\n%s\n", s) }

// line is one count, and what there is to say about it.
func (r *report) line(what string, n int, about string) {
	const indent = 27
	lines := wrap(about, 79-indent)
	first := ""
	if len(lines) > 0 {
		first, lines = lines[0], lines[1:]
	}
	fmt.Fprintln(r.app.stdout, strings.TrimRight(fmt.Sprintf("  %-14s%9d  %s", what, n, first), " "))
	for _, l := range lines {
		fmt.Fprintf(r.app.stdout, "%*s%s\n", indent, "", l)
	}
}

// table has a line for each service, day or stage of which there is anything to say in it.
func (r *report) table() error {
	fmt.Fprintln(r.app.stdout)
	by := strings.ToUpper(string(r.period.By))
	t := newTable(r.app.stdout, 0, by, "TEXTED", "SKIPPED", "HELD", "DELIV.", "FAILED", "SEGM.", "PAID").numbers(1, 2, 3, 4, 5, 6, 7)
	all := r.counts.Lines()
	for _, l := range all {
		counts := []int{l.Texted, sumOf(l.Skipped), sumOf(l.Held), l.Delivered, l.Failed, l.Segments}
		if len(all) > 1 && !slices.ContainsFunc(counts, func(n int) bool { return n > 0 }) {
			continue // such as texts that were given back: the totals have them
		}
		cells := []string{l.Name}
		for _, n := range counts {
			cells = append(cells, strconv.Itoa(n))
		}
		if err := t.row(append(cells, cmp.Or(share(l.Paid, l.PaidOf), "-"))...); err != nil {
			return err
		}
	}
	return t.flush()
}

// manyWords lists counts, the highest first.
func manyWords[K cmp.Ordered](counts map[K]int) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = fmt.Sprintf("%v %d", k, counts[k])
	}
	return strings.Join(words, ", ")
}

// share is a percentage; "" of nothing.
func share(n, of int) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(of))
}

func shareAfter(n, of int) string {
	if s := share(n, of); s != "" {
		return ", " + s
	}
	return ""
}

// priceWords is a price with all its decimals, and with those of its currency
// at least.
func priceWords(m reminder.Money, currency string) string {
	short := m.Format(currency)
	if again, err := reminder.ParseMoney(short); err == nil && again.Equal(m) {
		return short
	}
	return m.String()
}

func chargedWords(charged map[string]reminder.Money) string {
	var words []string
	for _, unit := range slices.Sorted(maps.Keys(charged)) {
		words = append(words, unit+" "+charged[unit].Format(unit))
	}
	return strings.Join(words, " and ")
}

func inDays(d time.Duration) string {
	if days := d / (24 * time.Hour); d%(24*time.Hour) == 0 {
		return countOf(int(days), "day")
	}
	return d.String()
}

// printJSON prints it for programs.
func (r *report) printJSON() error {
	type line struct {
		ID           string                  `json:"id,omitempty"`
		Name         string                  `json:"name"`
		Texted       int                     `json:"reminders_texted"`
		Skipped      map[reminder.Reason]int `json:"skipped"`
		Held         map[reminder.Reason]int `json:"held_now"`
		HandedOver   int                     `json:"handed_over"`
		Delivered    int                     `json:"delivered"`
		OnTheWay     int                     `json:"on_their_way"`
		Unconfirmed  int                     `json:"unconfirmed"`
		Failed       int                     `json:"failed"`
		Codes        map[int]int             `json:"failed_by_code"`
		NotSent      int                     `json:"not_sent"`
		Refused      map[reminder.Reason]int `json:"not_sent_for"`
		BeingSent    int                     `json:"being_sent"`
		InDoubt      int                     `json:"in_doubt"`
		Segments     int                     `json:"segments"`
		Billed       int                     `json:"billed_segments"`
		BilledOf     int                     `json:"segments_of_billed"`
		CostForecast *reminder.Money         `json:"cost_forecast"`
		Charged      map[string]string       `json:"charged"`
		Paid         int                     `json:"paid"`
		PaidOf       int                     `json:"paid_of"`
		TooEarly     int                     `json:"paid_too_early"`
	}
	plain := func(l *store.ReportLine) line {
		charged := map[string]string{}
		for unit, m := range l.Charged {
			charged[unit] = m.String()
		}
		return line{
			l.ID, l.Name, l.Texted, l.Skipped, l.Held, l.HandedOver(), l.Delivered, l.OnTheWay, l.Unconfirmed, l.Failed, l.Codes,
			l.NotSent, l.Refused, l.BeingSent, l.InDoubt, l.Segments, l.Billed, l.BilledOf, l.Cost(r.cfg.Notifier.PricePerSegment), charged,
			l.Paid, l.PaidOf, l.TooEarly,
		}
	}
	out := struct {
		Since      time.Time `json:"since"`
		Until      time.Time `json:"until"`
		PaidWithin float64   `json:"paid_within_seconds"`
		Currency   string    `json:"currency"`
		By         string    `json:"by,omitempty"`
		Total      line      `json:"total"`
		Lines      []line    `json:"lines,omitempty"`
	}{
		Since: utc(r.period.Since), Until: utc(r.now), PaidWithin: r.period.PaidWithin.Seconds(), Currency: r.cfg.Currency,
		By: string(r.period.By), Total: plain(r.counts.Total),
	}
	for _, l := range r.counts.Lines() {
		out.Lines = append(out.Lines, plain(l))
	}
	return json.NewEncoder(r.app.stdout).Encode(out)
}

// printCSV fills a spreadsheet: the lines, or where there are none that of all.
func (r *report) printCSV() error {
	w := csv.NewWriter(r.app.stdout)
	err := w.Write([]string{
		cmp.Or(string(r.period.By), "of"), "name", "texted", "skipped", "held_now",
		"handed_over", "delivered", "on_their_way", "unconfirmed", "failed", "not_sent", "being_sent", "in_doubt",
		"segments", "billed_segments", "segments_of_billed", "cost_forecast", "charged", "charged_in",
		"paid", "paid_of", "paid_too_early",
	})
	lines := r.counts.Lines()
	if r.period.By == "" {
		lines = []*store.ReportLine{r.counts.Total}
	}
	for _, l := range lines {
		forecast := ""
		if cost := l.Cost(r.cfg.Notifier.PricePerSegment); cost != nil {
			forecast = cost.String()
		}
		var charged, units []string
		for _, unit := range slices.Sorted(maps.Keys(l.Charged)) {
			charged, units = append(charged, l.Charged[unit].String()), append(units, unit)
		}
		row := []string{l.ID, importer.GuardCell(l.Name)}
		if r.period.By == store.ByService { // the others are days and numbers
			row[0] = importer.GuardCell(l.ID)
		}
		for _, n := range []int{
			l.Texted, sumOf(l.Skipped), sumOf(l.Held), l.HandedOver(), l.Delivered, l.OnTheWay, l.Unconfirmed, l.Failed,
			l.NotSent, l.BeingSent, l.InDoubt, l.Segments, l.Billed, l.BilledOf,
		} {
			row = append(row, strconv.Itoa(n))
		}
		row = append(row, forecast, strings.Join(charged, "; "), strings.Join(units, "; "))
		for _, n := range []int{l.Paid, l.PaidOf, l.TooEarly} {
			row = append(row, strconv.Itoa(n))
		}
		err = errors.Join(err, w.Write(row))
	}
	w.Flush()
	return errors.Join(err, w.Error())
}
