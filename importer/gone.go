package importer

import (
	"strings"
)

// standing is a column that is left out, and may say that a row is of nobody any
// more, as in "Status" or behind a name.
type standing struct {
	column int
	header string // as it may be shown
	flag   bool   // it is yes or no, such as "Active"
	gone   bool   // which of the two it says of those who left
}

// standingHeaders are such columns, and flagHeaders those of yes and no, as
// headerWords has them, by what they say of those who left.
var (
	standingHeaders = headerSet("name, names, full name, tenant, tenant name, customer, customer name, member name, consumer name, jina, " +
		"jina kamili, mpangaji, jina mpangaji, status, active status, account status, customer status, tenant status, " +
		"member status, meter status, connection status, state, notes, note, remarks, remark, comment, comments, maoni, hali")
	flagHeaders = map[bool]map[string]bool{false: headerSet("active, is active, enabled, active status"), true: headerSet("disabled")}
	flags       = map[string]bool{
		"no": false, "n": false, "0": false, "false": false, "hapana": false,
		"yes": true, "y": true, "1": true, "true": true, "ndiyo": true,
	}
)

func headerSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, header := range strings.Split(list, ",") {
		set[strings.Join(headerWords(header), "")] = true
	}
	return set
}

// goneWords are how lists say that somebody left, in small letters; the first that
// a cell holds is counted, and no other word of the cell is repeated.
var goneWords = []string{
	"moved out", "vacated", "vacant", "inactive", "not active", "not-active", "closed", "disconnected", "terminated", "deactivated", "dormant",
	"suspended", "deceased", "exited", "evicted", "cancelled", "canceled", "archived", "left", "amehama", "imefungwa", "marehemu",
}

// standings are the columns of a layout that are watched. What the operator leaves
// out by name he knows.
func (l *layout) standings() (all []standing) {
	for i, header := range l.headers {
		key := strings.Join(headerWords(header), "")
		if l.fields[i] != leftOut || l.ignored(i) {
			continue
		}
		flag := flagHeaders[false][key] || flagHeaders[true][key]
		if flag || standingHeaders[key] {
			all = append(all, standing{i, shownHeader(header), flag, flagHeaders[true][key]})
		}
	}
	return all
}

// countGone notes what the watched columns say of a row that was taken.
func (r *BillsReader) countGone(cells []cell) {
	for _, s := range r.standing {
		if s.column >= len(cells) || cells[s.column].text == "" {
			continue
		}
		text := strings.ToLower(strings.Join(strings.Fields(trimOdd(cells[s.column].text)), " "))
		if says, known := flags[text]; s.flag && known && says == s.gone {
			count(&r.notes.Gone, s.header+" "+text)
			continue
		}
		for _, w := range goneWords {
			if containsWord(text, w) {
				count(&r.notes.Gone, s.header+" "+w)
				break
			}
		}
	}
}

// containsWord reports whether a word, or several, stand in a text by themselves.
func containsWord(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(word)
		if !endsInLetter(text[:start]) && !startsWithLetter(text[end:]) {
			return true
		}
		from = end
	}
}
