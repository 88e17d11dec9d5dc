package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"duewatch/reminder"
)

// Notes are what an operator should know of the rows that were taken, by how many
// there are of each.
type Notes struct {
	Mended    map[string]int // by what was put right
	NewRanges map[string]int // by the beginning of phones that no table knows, such as "0144"
	Foreign   map[string]int // by the calling code of phones of other countries, such as "+256"
	Gone      map[string]int // by what a column of the status says, such as `"Remarks" closed`
}

// CountPhone notes what is unusual about a phone that was taken: a list of one
// country seldom has phones of others, and a text to one can cost ten times as much.
func (n *Notes) CountPhone(r *reminder.PhoneReader, p reminder.Phone, in reminder.PhoneRange) {
	if code := r.ForeignCode(p); code != "" {
		count(&n.Foreign, code)
	}
	if in == reminder.NewRange {
		count(&n.NewRanges, p.Prefix())
	}
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
	if n.NewRanges != nil {
		const hint = " (phones.mobile_prefixes in the config says that they are)"
		lines = append(lines, "phones of new ranges, taken as mobile ones: "+counts(n.NewRanges)+hint)
	}
	if n.Foreign != nil {
		lines = append(lines, "phones of other countries: "+counts(n.Foreign))
	}
	if n.Gone != nil {
		lines = append(lines, "taken, though they may be no customers any more: "+counts(n.Gone)+
			" (delete the rows of those who must not be texted)")
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
