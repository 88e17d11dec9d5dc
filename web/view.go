package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// view is a Page in the words and shapes of page.html.
type view struct {
	Page
	CSS     template.CSS
	Verdict string
	Tone    string // well, todo, bad: a class of page.css

	Counts      []count // of today
	FailedToday string
	Ahead       chart
	Texts, Cost chart
	Skipped     string   // of the month
	Rows        []dayRow // of the month, the newest day first
}

// count is a number, and what it counts.
type count struct {
	ID, Name, Class string
	N               int
	Note            string
}

// dayRow is a day in the table of the month.
type dayRow struct {
	Day  string
	Line *store.ReportLine
	Cost string
}

// outcomes are the series of the charts of texts.
var outcomes = []series{
	{"delivered", "delivered"}, {"onway", "on their way"}, {"unconfirmed", "unconfirmed"}, {"failed", "failed"}, {"notsent", "not sent"},
}

func newView(p Page) view {
	v := view{Page: p, CSS: template.CSS(pageCSS)} //nolint:gosec // it is ours, from page.css
	v.Verdict, v.Tone = p.verdict()
	if p.Today != nil {
		v.today(p.Today.Line)
	}
	if p.Outlook != nil {
		v.ahead(p.Outlook)
	}
	if p.Month != nil {
		v.month(p.Month)
	}
	return v
}

// verdict is the first thing that anybody wants to know.
func (p Page) verdict() (verdict, tone string) {
	switch n := len(p.Problems); {
	case !p.Alive:
		return "duewatch is not well", "bad"
	case n > 0:
		return plural(n, "thing") + " to do", "todo"
	case p.Starting:
		return "duewatch is starting", "well"
	}
	return "All is well", "well"
}

func (v *view) today(l *store.ReportLine) {
	v.Counts = []count{
		{ID: "handed-over", Name: "handed over", N: l.HandedOver()},
		{ID: "delivered", Name: "delivered", Class: "delivered", N: l.Delivered},
		{ID: "on-their-way", Name: "on their way", Class: "onway", N: l.OnTheWay},
		{ID: "unconfirmed", Name: "unconfirmed", Class: "unconfirmed", N: l.Unconfirmed},
		{ID: "failed", Name: "failed", Class: "failed", N: l.Failed},
		{ID: "not-sent", Name: "not sent", Class: "notsent", N: l.NotSent},
		{ID: "being-sent", Name: "being sent", N: l.BeingSent},
		{ID: "in-doubt", Name: "in doubt", N: l.InDoubt},
	}
	if l.Delivered > 0 {
		v.Counts[1].Note = percent(l.Delivered, l.HandedOver())
	}
	v.FailedToday = inWords(l.Codes, func(code int) string { return "code " + strconv.Itoa(code) })
}

// inWords lists counts, the highest first.
func inWords[K cmp.Ordered](counts map[K]int, name func(K) string) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = number(counts[k]) + " × " + name(k)
	}
	return strings.Join(words, "; ")
}

func (v *view) ahead(o *Outlook) {
	c := chart{ID: "ahead", Title: "Texts of the next seven days", Series: []series{{"delivered", "texts"}}, Few: true}
	stacks := make([]stack, len(o.Days))
	texts := 0
	for i, d := range o.Days {
		stacks[i] = stack{dayName(d.Day), []float64{float64(d.Texts)}}
		c.Ends = append(c.Ends, shortDay(d.Day))
		texts += d.Texts
	}
	c.Desc = fmt.Sprintf("A bar for each day; %s in all. The table below has the numbers.", plural(texts, "text"))
	v.Ahead = c.draw(stacks, wholeNumber)
}

func (v *view) month(m *Month) {
	texts := chart{ID: "texts", Title: "Texts of each day, by outcome", Series: outcomes}
	cost := chart{ID: "cost", Title: "Segments of each day", Series: []series{{"delivered", "segments"}}}
	words := wholeNumber
	if v.Price != nil {
		cost.Title, cost.Series[0].Name = "Cost of each day, in "+v.Currency, v.Currency
		words = func(amount float64) string { return number(int(amount)) }
	}
	sent, paid := make([]stack, len(m.Days)), make([]stack, len(m.Days))
	for i, l := range m.Days {
		day := m.Since.AddDays(i)
		sent[i] = stack{dayName(day), []float64{
			float64(l.Delivered), float64(l.OnTheWay), float64(l.Unconfirmed), float64(l.Failed), float64(l.NotSent),
		}}
		amount := float64(l.Segments)
		row := dayRow{Day: dayName(day), Line: l}
		if c := l.Cost(v.Price); c != nil {
			amount, _ = strconv.ParseFloat(c.String(), 64) // for the height of a bar
			row.Cost = c.Format(v.Currency)
		}
		paid[i] = stack{dayName(day), []float64{amount}}
		v.Rows = append(v.Rows, row)
	}
	slices.Reverse(v.Rows)
	last := len(m.Days) - 1
	texts.Ends = []string{shortDate(m.Since), shortDate(m.Since.AddDays(last / 2)), shortDate(m.Since.AddDays(last))}
	cost.Ends = texts.Ends
	texts.Desc = fmt.Sprintf("A bar for each day from %s to %s; %s were handed over, %s of them delivered. The table below has the numbers.",
		dayName(m.Since), dayName(m.Since.AddDays(last)), plural(m.Total.HandedOver(), "text"), number(m.Total.Delivered))
	cost.Desc = fmt.Sprintf("A bar for each day; %s in all. The table below has the numbers.", v.SpentInMonth())
	v.Skipped = inWords(m.Total.Skipped, func(r reminder.Reason) string { return r.Info().Means })
	v.Texts, v.Cost = texts.draw(sent, wholeNumber), cost.draw(paid, words)
}

// SpentInMonth is the segments of the month and, where a price is known, what they cost.
func (v view) SpentInMonth() string {
	s := plural(v.Month.Total.Segments, "segment")
	if c := v.Month.Total.Cost(v.Price); c != nil {
		s += ", " + v.Currency + " " + c.Format(v.Currency)
	}
	return s
}

// PriceWords is the price of a segment with all its decimals, and with those of its currency
// at least.
func (v view) PriceWords() string {
	short := v.Price.Format(v.Currency)
	if again, err := reminder.ParseMoney(short); err == nil && again.Equal(*v.Price) {
		return short
	}
	return v.Price.String()
}

// CostOf is what segments cost; "" when the price is not known.
func (v view) CostOf(segments int) string {
	if v.Price == nil {
		return ""
	}
	return v.Price.Times(float64(segments)).Format(v.Currency)
}

// Charged is what the provider has charged in the month.
func (v view) Charged() string {
	var words []string
	for _, unit := range slices.Sorted(maps.Keys(v.Month.Total.Charged)) {
		words = append(words, unit+" "+v.Month.Total.Charged[unit].Format(unit))
	}
	return strings.Join(words, " and ")
}

// TextsAhead are all of the outlook.
func (v view) TextsAhead() (n int) {
	for _, d := range v.Outlook.Days {
		n += d.Texts
	}
	return n
}

// SegmentsAhead are all of the outlook.
func (v view) SegmentsAhead() (n int) {
	for _, d := range v.Outlook.Days {
		n += d.Segments
	}
	return n
}

// Percent is a share in words.
func (view) Percent(n, of int) string { return cmp.Or(percent(n, of), "–") }

// Share is a share of a hundred, for a drawing.
func (view) Share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

// Day is a day in words.
func (view) Day(d reminder.Date) string { return dayName(d) }

// Within is how soon a payment counts.
func (v view) Within() string { return plural(int(v.Month.PaidWithin/(24*time.Hour)), "day") }

// Clock is an hour of today, or a day and an hour.
func (v view) Clock(t time.Time) string {
	switch local, now := t.In(v.Zone), v.At.In(v.Zone); {
	case t.IsZero():
		return "never"
	case reminder.DateOf(local) == reminder.DateOf(now):
		return local.Format("15:04:05")
	case local.Year() == now.Year():
		return local.Format("2 Jan 15:04")
	default:
		return local.Format("2 Jan 2006 15:04")
	}
}

// Stamp is an instant for programs.
func (view) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Ago is how old something is.
func (v view) Ago(t time.Time) string {
	switch age := v.At.Sub(t); {
	case age < 5*time.Second:
		return "just now"
	case age < 2*time.Minute:
		return plural(int(age/time.Second), "second") + " ago"
	case age < 2*time.Hour:
		return plural(int(age/time.Minute), "minute") + " ago"
	case age < 48*time.Hour:
		return plural(int(age/time.Hour), "hour") + " ago"
	default:
		return plural(int(age/(24*time.Hour)), "day") + " ago"
	}
}

// Took is how long the last pass of a job took; "" while it runs.
func (view) Took(j Job) string {
	if j.LastEnded.IsZero() || j.LastEnded.Before(j.LastStarted) {
		return ""
	}
	took := j.LastEnded.Sub(j.LastStarted)
	if took < time.Millisecond {
		return "< 1ms"
	}
	if took < time.Second {
		return took.Round(time.Millisecond).String()
	}
	return took.Round(time.Second).String()
}

func dayName(d reminder.Date) string   { return d.At(12*60, time.UTC).Format("Mon 2 Jan 2006") }
func shortDay(d reminder.Date) string  { return d.At(12*60, time.UTC).Format("Mon 2") }
func shortDate(d reminder.Date) string { return d.At(12*60, time.UTC).Format("2 Jan") }
func wholeNumber(n float64) string     { return number(int(n)) }
