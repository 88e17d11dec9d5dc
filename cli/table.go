package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// tableWidth is what fits into the terminal of whoever is woken at night.
	tableWidth = 80
	// measured is by how many rows the columns are laid out. What is wider
	// further down stands out; ten million rows are not held in memory for it.
	measured = 500
	minName  = 8 // characters that a shortened column keeps
)

// table prints rows in columns of at most tableWidth characters together: the
// one column that names something for people is shortened for it, the others
// are never cut.
type table struct {
	to     io.Writer
	rows   int // without the heading
	names  int // the column that may be shortened
	held   [][]string
	widths []int
}

func newTable(to io.Writer, names int, heading ...string) *table {
	return &table{to: to, names: names, held: [][]string{heading}, widths: make([]int, len(heading))}
}

// row prints a row, or keeps it until the columns can be laid out.
func (t *table) row(cells ...string) error {
	t.rows++
	if t.held == nil {
		return t.print(cells)
	}
	if t.held = append(t.held, cells); len(t.held) > measured {
		return t.flush()
	}
	return nil
}

// flush prints what is kept.
func (t *table) flush() error {
	for _, cells := range t.held {
		for i, cell := range cells {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	over := -tableWidth - 2
	for _, w := range t.widths {
		over += w + 2
	}
	if name := &t.widths[t.names]; over > 0 {
		*name = min(*name, max(*name-over, minName))
	}
	held := t.held
	t.held = nil
	for _, cells := range held {
		if err := t.print(cells); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) print(cells []string) error {
	var b strings.Builder
	for i, cell := range cells {
		if i == t.names {
			cell = shorten(cell, t.widths[i])
		}
		if i == len(cells)-1 {
			b.WriteString(cell)
			break
		}
		fmt.Fprintf(&b, "%-*s  ", t.widths[i], cell)
	}
	_, err := fmt.Fprintln(t.to, strings.TrimRight(b.String(), " "))
	return err
}

// shorten cuts s to at most width characters, the last of which then says so.
func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:width-1]), " ") + "…"
}
