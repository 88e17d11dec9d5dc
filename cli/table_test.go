package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	long := strings.Repeat("1", 60)
	for name, tt := range map[string]struct {
		rows [][]string
		want string
	}{
		"fits":                            {[][]string{{"Ümoja", "1", "x"}}, "NAME   ACCOUNT  END\nÜmoja  1        x\n"},
		"the name gives way":              {[][]string{{"A company of many words", long, "x"}}, fmt.Sprintf("NAME%sACCOUNT%sEND\nA company of…  %s  x\n", strings.Repeat(" ", 11), strings.Repeat(" ", 55), long)},
		"and keeps eight characters":      {[][]string{{"A company of many words", long + "22222222", "x"}}, fmt.Sprintf("NAME%sACCOUNT%sEND\nA compa…  %s22222222  x\n", strings.Repeat(" ", 6), strings.Repeat(" ", 63), long)},
		"a short name is not made longer": {[][]string{{"A", long + long, "x"}}, fmt.Sprintf("NAME  ACCOUNT%sEND\nA     %s  x\n", strings.Repeat(" ", 115), long+long)},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			table := newTable(&out, 0, "NAME", "ACCOUNT", "END")
			for _, cells := range tt.rows {
				if err := table.row(cells...); err != nil {
					t.Fatal(err)
				}
			}
			if err := table.flush(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNumbersStandAtTheRightAndColoursTakeNoRoom(t *testing.T) {
	var out strings.Builder
	table := newTable(&out, 0, "NAME", "BALANCE", "END").numbers(1)
	table.style.colour = true
	table.paint = func(column int, _ string) colour { return map[int]colour{1: red}[column] }
	for _, cells := range [][]string{{"A", "9.50", "x"}, {"B", "12,315.50", "y"}} {
		if err := table.row(cells...); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(table.flush(), table.count("bill")); err != nil {
		t.Fatal(err)
	}
	shown := strings.NewReplacer("\x1b[1m", "<b>", "\x1b[1;31m", "<red>", "\x1b[0m", "</>").Replace(out.String())
	want := "<b>NAME</>    <b>BALANCE</>  <b>END</>\n" +
		"A          <red>9.50</>  x\n" +
		"B     <red>12,315.50</>  y\n" +
		"2 bills\n"
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A long list is printed as it comes.
func TestTableHoldsFewRows(t *testing.T) {
	var out strings.Builder
	table := newTable(&out, 0, "NAME")
	for i := range 3 * measured {
		if err := table.row(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if len(table.held) > measured {
			t.Fatalf("row %d: %d rows are held", i, len(table.held))
		}
	}
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 1+3*measured || table.rows != 3*measured {
		t.Errorf("%d lines, %d rows counted", n, table.rows)
	}
}
