package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Notes are what an operator should know of the rows that were taken: what was
// mended in them, how often.
type Notes struct {
	Mended map[string]int // rows, by what was put right
}

// mended counts what was mended in a row.
func (n *Notes) mended(m mend) {
	for i := 0; m>>i != 0; i++ {
		if m>>i&1 != 0 {
			count(&n.Mended, mends[i])
		}
	}
}

func count(to *map[string]int, what string) {
	if *to == nil {
		*to = map[string]int{}
	}
	(*to)[what]++
}

// Lines are the notes for people, none when there is nothing to be said.
func (n Notes) Lines() (lines []string) {
	if n.Mended != nil {
		lines = append(lines, "mended: "+counts(n.Mended))
	}
	return lines
}

// counts is "line breaks 3, spaces 12".
func counts(of map[string]int) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", what, of[what]))
	}
	return strings.Join(all, ", ")
}
