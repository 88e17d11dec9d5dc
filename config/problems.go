package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one fault of the config and what to write instead. It never holds
// a secret or a phone number.
type Problem struct {
	File string // "" when the fault is not in the file
	Line int    // in File, from 1; 0 when the fault is something that the file lacks
	Env  string // the environment variable that holds the fault, if one does
	Key  string // such as reminders.days_before[0]; "" for the file as a whole
	Text string // what is wrong and what to write instead
}

// String is one line: "config.yaml:14: reminders.send_at: …".
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.Env != "":
		b.WriteString("$" + p.Env + ": ")
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	case p.File != "":
		b.WriteString(p.File + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Error is every fault of a config, in the order of the file. Load returns no
// other type of error.
type Error struct{ Problems []Problem }

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
	found []Problem
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
	p.found = append(p.found, Problem{
		File: at.file, Line: at.line, Env: at.env, Key: key,
		Text: fmt.Sprintf(format, args...),
	})
}

// has reports whether the value is already known to be wrong.
func (p *problems) has(at place, key string) bool { return p.seen[spot{at, key}] }

// err is nil or an *Error: each file from top to bottom, then what is lacking,
// then the environment.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	rank := func(q Problem) int {
		switch {
		case q.Env != "":
			return 2
		case q.Line == 0:
			return 1
		default:
			return 0
		}
	}
	slices.SortStableFunc(p.found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Env, b.Env))
	})
	return &Error{p.found}
}

// maxShown is how much of an offending value is repeated.
const maxShown = 60

// shown quotes a value of the config for a message.
func shown(s string) string {
	if utf8.RuneCountInString(s) > maxShown {
		s = string([]rune(s)[:maxShown]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
