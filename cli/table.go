package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// measured is by how many rows the columns are laid out. What is wider
	// further down stands out; ten million rows are not held in memory for it.
	measured = 500
	minName  = 8 // characters that a shortened column keeps
)

// table prints rows in columns, together as wide as the terminal at most, or 80 characters
// elsewhere: the one column that names something for people is shortened for it, the
// others are never cut. All lists of the commands are printed by it.
type table struct {
	to     io.Writer
	rows   int // without the heading
	names  int // the column that may be shortened
	style  style
	right  []int                                // columns of numbers
	paint  func(column int, cell string) colour // nil = none is coloured
	head   []string
	held   [][]string // rows that wait; nil once the columns are laid out
	widths []int
}

// newTable makes a table with a heading; one of empty words only is not printed.
func newTable(to io.Writer, names int, heading ...string) *table {
	return &table{to: to, names: names, style: styleOf(to), head: heading, held: [][]string{}, widths: make([]int, len(heading))}
}

// numbers aligns columns to the right.
func (t *table) numbers(columns ...int) *table {
	t.right = columns
	return t
}

// row prints a row, or keeps it until the columns can be laid out.
func (t *table) row(cells ...string) error {
	t.rows++
	if t.held == nil {
		return t.print(cells, t.paint)
	}
	if t.held = append(t.held, cells); len(t.held) >= measured {
		return t.flush()
	}
	return nil
}

// flush prints what is kept.
func (t *table) flush() error {
	if t.held == nil {
		return nil
	}
	for _, cells := range append(t.held, t.head) {
		for i, cell := range cells {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	over := -t.style.width - 2
	for _, w := range t.widths {
		over += w + 2
	}
	if name := &t.widths[t.names]; over > 0 {
		*name = min(*name, max(*name-over, minName))
	}
	held := t.held
	t.held = nil
	if strings.Join(t.head, "") != "" {
		if err := t.print(t.head, func(int, string) colour { return bold }); err != nil {
			return err
		}
	}
	for _, cells := range held {
		if err := t.print(cells, t.paint); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) print(cells []string, paint func(column int, cell string) colour) error {
	var b strings.Builder
	for i, cell := range cells {
		if i == t.names {
			cell = shorten(cell, t.widths[i])
		}
		room := strings.Repeat(" ", max(t.widths[i]-utf8.RuneCountInString(cell), 0))
		shown := cell
		if paint != nil {
			shown = t.style.paint(paint(i, cell), cell)
		}
		switch {
		case slices.Contains(t.right, i):
			b.WriteString(room + shown)
		case i < len(cells)-1:
			b.WriteString(shown + room)
		default:
			b.WriteString(shown)
		}
		if i < len(cells)-1 {
			b.WriteString("  ")
		}
	}
	_, err := fmt.Fprintln(t.to, strings.TrimRight(b.String(), " "))
	return err
}

// count prints under a list how many rows it has.
func (t *table) count(what string) error {
	_, err := fmt.Fprintln(t.to, countOf(t.rows, what))
	return err
}

// shorten cuts s to at most width characters, the last of which then says so.
func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:width-1]), " ") + "…"
}
