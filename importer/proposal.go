package importer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// answer is what an operator needs to put it right: what each column was taken
// for, and the one line to write. rows are some rows behind the header.
func (l *layout) answer(name string, rows [][]string, services serviceNames) (lines []string) {
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
	return append(lines, l.proposal(name, rows, services)...)
}

// proposal is the line that would have the file read, behind what may stand in the
// place of ID. What it cannot know stands in capitals.
func (l *layout) proposal(name string, rows [][]string, services serviceNames) []string {
	of := map[string]string{}
	for name, column := range l.choice.Of {
		if found := l.written(column); len(found) == 1 {
			of[name] = l.quoted(found[0])
		}
	}
	used := map[int]bool{}
	looks := [fieldCount]func(string) bool{
		phone: mayHoldPhone, service: services.knows,
		account: func(s string) bool { return looksLikeAccount(s) && !looksLikePhone(s) },
	}
	for _, f := range []field{phone, service, account} { // phones and services can be told by their look
		if l.of(f) != nil || (f == service && l.choice.Service != "") {
			continue
		}
		i := l.guess(f, rows, used, looks[f])
		if i < 0 && f == account { // a name, such as that of a house
			i = l.onlyColumnLeft(rows, used)
		}
		if i >= 0 {
			of[fields[f].name], used[i] = l.quoted(i), true
		} else if f != service {
			of[fields[f].name] = "COLUMN"
		}
	}
	var ignore []string
	for i := range l.headers {
		if (l.fields[i] == unknown && !used[i]) || l.ignored(i) {
			ignore = append(ignore, l.quoted(i))
		}
	}
	every, choices := l.choice.Service, ""
	switch known := slices.Sorted(maps.Keys(services.policies.ByService)); {
	case l.of(service) != nil, of[fields[service].name] != "":
		every = ""
	case every == "" && len(known) == 1:
		every = known[0]
	case every == "":
		every, choices = "ID", services.list(known)
	}
	line := l.flags(name, of, every, ignore)
	if l.choice.InConfig {
		line = l.keys(of, every, ignore)
	}
	if choices == "" {
		return []string{line}
	}
	return []string{"ID is one of " + choices, line}
}

// flags is the proposal as a command.
func (l *layout) flags(name string, of map[string]string, every string, ignore []string) string {
	if name == Stdin {
		name = "-"
	}
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
	if l.choice.DryRun {
		line += " --dry-run"
	}
	if l.choice.AsWritten {
		line += " --as-written"
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
// is the operator who decides. What the header says counts more than the cells, and
// they more than that nothing is known of a column. -1 when none does.
func (l *layout) guess(f field, rows [][]string, used map[int]bool, looks func(string) bool) int {
	best, most := -1, 0
	for i, header := range l.headers {
		if used[i] || l.fields[i] >= 0 || l.ignored(i) {
			continue
		}
		seen, others := map[string]bool{}, 0
		for _, row := range rows {
			switch {
			case i >= len(row) || row[i] == "":
			case looks(row[i]):
				seen[row[i]] = true
			default:
				others++
			}
		}
		n, named := len(seen), l.canBe(i, f)
		switch hint := hinted(header, f); {
		case named:
			n += 4 * maxAhead
		case hint > 0 && (f != service || l.fields[i] == unknown): // a service charge is none
			n += maxAhead + hint
			named = f == service && len(seen)+others > 0
		case f == service:
			if others > 0 {
				continue // names or numbers of something else
			}
		case l.fields[i] == unknown:
			n += maxAhead / 2
		}
		if n > most && (len(seen) > 0 || named) {
			best, most = i, n
		}
	}
	return best
}

// onlyColumnLeft is the one column of which nothing is known and that is not empty;
// -1 where there are several.
func (l *layout) onlyColumnLeft(rows [][]string, used map[int]bool) int {
	found := -1
	for i, f := range l.fields {
		filled := slices.ContainsFunc(rows, func(row []string) bool { return i < len(row) && row[i] != "" })
		if used[i] || (f != unknown && f != unnamed) || !filled {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}

// hinted is how surely the words of a header hint at a field, 0 for not at all.
func hinted(header string, f field) int {
	list := headerWords(strings.ReplaceAll(strings.ToLower(header), "a/c", "ac"))
	for i, w := range hintWords[f] {
		if slices.Contains(list, w) {
			return len(hintWords[f]) - i
		}
	}
	return 0
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

// mayHoldPhone reports whether a cell holds a number of the length of a phone,
// whatever stands between and beside its digits.
func mayHoldPhone(s string) bool {
	digits, letters := 0, 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case unicode.IsLetter(c):
			letters++
		}
	}
	return digits >= 9 && letters <= digits && !strings.Contains(s, "@") && (letters > 0 || strings.ContainsAny(s[:1], "+0127(")) &&
		!asDate.MatchString(s)
}

// looksLikeAccount reports whether a cell may be an account.
func looksLikeAccount(s string) bool {
	const longest = 30
	return len(s) <= longest && strings.ContainsAny(s, "0123456789") && !strings.Contains(s, "@") && spoiltNumber(s) == ""
}
