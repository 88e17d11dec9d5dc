package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// answer is what an operator needs to put it right: what each column was taken
// for, and the one line to write. rows are some rows behind the header.
func (l *layout) answer(name string, rows [][]string, services []string) (lines []string) {
	for i, header := range l.headers {
		taken := "not known"
		mayBe := l.mayBe(i)
		switch f := l.fields[i]; {
		case f == unnamed:
			continue
		case f >= 0:
			taken = "the " + fields[f].name
		case f == leftOut && mayBe != "" && !l.ignored(i):
			taken = "may be the " + mayBe
		case f == leftOut:
			taken = "left out"
		}
		lines = append(lines, fmt.Sprintf("column %d, %s: %s", i+1, shownHeader(header), taken))
	}
	return append(lines, l.proposal(name, rows, services))
}

// proposal is the line that would have the file read. What it cannot know stands
// in capitals.
func (l *layout) proposal(name string, rows [][]string, services []string) string {
	of := map[string]string{}
	for name, column := range l.choice.Of {
		if found := l.written(column); len(found) == 1 {
			of[name] = l.quoted(found[0])
		}
	}
	used := map[int]bool{}
	for _, f := range []field{phone, account} { // phones can be told by their look
		if l.of(f) != nil {
			continue
		}
		of[fields[f].name] = "COLUMN"
		if i := l.guess(f, rows, used); i >= 0 {
			of[fields[f].name], used[i] = l.quoted(i), true
		}
	}
	var ignore []string
	for i := range l.headers {
		if (l.fields[i] == unknown && !used[i]) || l.ignored(i) {
			ignore = append(ignore, l.quoted(i))
		}
	}
	every := l.choice.Service
	switch {
	case l.of(service) != nil:
		every = ""
	case every == "" && len(services) == 1:
		every = services[0]
	case every == "":
		every = "ID"
	}
	if l.choice.InConfig {
		return l.keys(of, every, ignore)
	}
	return l.flags(name, of, every, ignore)
}

// flags is the proposal as a command.
func (l *layout) flags(name string, of map[string]string, every string, ignore []string) string {
	line := "duewatch import " + shellWord(name)
	var pairs []string
	for _, f := range fields {
		if column, ok := of[f.name]; ok {
			pairs = append(pairs, f.name+"="+column)
		}
	}
	if pairs != nil {
		line += " --columns " + shellWord(strings.Join(pairs, ","))
	}
	if every != "" {
		line += " --service " + shellWord(every)
	}
	if l.choice.Sheet != "" {
		line += " --sheet " + shellWord(l.choice.Sheet)
	}
	if ignore != nil {
		line += " --ignore-columns " + shellWord(strings.Join(ignore, ","))
	}
	return "type: " + line
}

// keys is the proposal as lines of a config.
func (l *layout) keys(of map[string]string, every string, ignore []string) string {
	var keys []string
	var pairs []string
	for _, f := range fields {
		if column, ok := of[f.name]; ok {
			pairs = append(pairs, f.name+": "+strconv.Quote(column))
		}
	}
	if pairs != nil {
		keys = append(keys, "bills_columns: {"+strings.Join(pairs, ", ")+"}")
	}
	if every != "" {
		keys = append(keys, "bills_service: "+strconv.Quote(every))
	}
	if ignore != nil {
		for i := range ignore {
			ignore[i] = strconv.Quote(ignore[i])
		}
		keys = append(keys, "bills_ignore_columns: ["+strings.Join(ignore, ", ")+"]")
	}
	return "write in the config: " + strings.Join(keys, " and ")
}

// quoted is how a column is named in the proposal: by its header where that is
// safe to type and no other column has it, else by its number.
func (l *layout) quoted(i int) string {
	header := l.headers[i]
	if shownHeader(header) == "(not a name)" || strings.ContainsAny(header, "\"'`$\\,=!") || len(l.written(header)) != 1 {
		return strconv.Itoa(i + 1)
	}
	return header
}

func shellWord(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-./=,+:", c)
	}) || s == "" {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// guess finds the column that most looks like the field, for a proposal alone: it
// is the operator who decides. -1 when none does.
func (l *layout) guess(f field, rows [][]string, used map[int]bool) int {
	best, most := -1, 0
	for i := range l.headers {
		if used[i] || l.fields[i] >= 0 || l.headers[i] == "" || l.ignored(i) {
			continue
		}
		seen := map[string]bool{}
		for _, row := range rows {
			if i < len(row) && row[i] != "" && (f == phone) == looksLikePhone(row[i]) {
				seen[row[i]] = true
			}
		}
		n := len(seen)
		switch {
		case l.canBe(i, f):
			n += 2 * maxAhead
		case l.fields[i] == unknown:
			n += maxAhead
		}
		if n > most && (len(seen) > 0 || l.canBe(i, f)) {
			best, most = i, n
		}
	}
	return best
}

func (l *layout) canBe(i int, f field) bool {
	return slices.ContainsFunc(meanings(l.headers[i]), func(c candidate) bool { return c.field == f })
}

// looksLikePhone reports whether a cell holds nothing but a number of the length
// of a phone.
func looksLikePhone(s string) bool {
	digits := 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case !strings.ContainsRune("+ ()-.\u00a0", c):
			return false
		}
	}
	return digits >= 9 && digits <= 15
}
