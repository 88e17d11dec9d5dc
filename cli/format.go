package cli

import (
	"fmt"
	"strings"
	"time"

	"duewatch/daemon"
	"duewatch/reminder"
)

// countOf is "1 bill", "2 bills".
func countOf(n int, what string) string { return daemon.CountOf(n, what) }

// shortTime leaves the year out where it is this one.
func (a *app) shortTime(t time.Time, zone *time.Location) string {
	return daemon.ShortTime(t, a.now(), zone)
}

// shortDay leaves the year out where it is this one.
func (a *app) shortDay(d reminder.Date, zone *time.Location) string {
	switch {
	case d.IsZero():
		return "-"
	case d.Year() == a.now().In(zone).Year():
		return d.At(0, time.UTC).Format("2 Jan")
	default:
		return d.At(0, time.UTC).Format("2 Jan 2006")
	}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func formatBalance(m *reminder.Money, currency string) string {
	if m == nil {
		return "-"
	}
	return m.Format(currency)
}

func sizeOf(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

// wrap breaks a text into lines of at most width characters, at spaces.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// printWrapped prints a text in lines of 80 columns, or fewer on a narrow terminal, under its
// first one.
func (a *app) printWrapped(first, text string) {
	s := styleOf(a.stdout)
	for _, line := range wrap(text, min(pageWidth, s.width)-s.length(first)-2) {
		fmt.Fprintf(a.stdout, "%s%s\n", first, line)
		first = strings.Repeat(" ", s.length(first))
	}
}
