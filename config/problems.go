package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"duewatch/importer"
)

// Error is every fault of a config, in the order of the file. Load returns no
// other type of error.
type Error struct{ Problems []importer.Problem }

// Error is one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// place is where a value was written.
type place struct {
	file string
	line int
	env  string
}

// problems collects faults while loading goes on, so that the operator sees
// all of them at once.
type problems struct {
	found []importer.Problem
	seen  map[spot]bool
}

// spot tells problems apart: the second fault of one value is a consequence of
// the first, or the same one met again through a service that inherits it.
type spot struct {
	place
	key string
}

func (p *problems) add(at place, key, format string, args ...any) {
	s := spot{at, key}
	if p.seen[s] {
		return
	}
	if p.seen == nil {
		p.seen = map[spot]bool{}
	}
	p.seen[s] = true
	found := importer.Problem{File: at.file, Line: at.line, Key: key, Text: fmt.Sprintf(format, args...)}
	if at.env != "" {
		found.File = variable(at.env)
	}
	p.found = append(p.found, found)
}

// has reports whether the value is already known to be wrong.
func (p *problems) has(at place, key string) bool { return p.seen[spot{at, key}] }

// err is nil or an *Error: each file from top to bottom, then what is lacking,
// then the environment.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	rank := func(q importer.Problem) int {
		switch {
		case isVariable(q.File):
			return 2
		case q.Line == 0:
			return 1
		default:
			return 0
		}
	}
	slices.SortStableFunc(p.found, func(a, b importer.Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return &Error{p.found}
}

// variable is how a variable of the environment stands where a fault or a value
// has its file.
func variable(name string) string { return "$" + name }

func isVariable(file string) bool { return strings.HasPrefix(file, "$") }

// maxShown is how much of an offending value is repeated.
const maxShown = 60

// shown quotes a value of the config for a message.
func shown(s string) string {
	if utf8.RuneCountInString(s) > maxShown {
		s = string([]rune(s)[:maxShown]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
