package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// Stdin is the name of standard input in problems. In a command it is "-".
const Stdin = "stdin"

// Problem is one fault of a list or of the config, and what to write instead. It
// never holds a secret or a phone number.
type Problem struct {
	File string // $NAME for a variable of the environment; "" when the fault is in no file
	Line int    // in File, from 1; 0 when the fault is something that the file lacks
	Key  string // the column of a list, or the key of a config; "" for the file as a whole
	Text string // what is wrong and what to write instead
}

// String is one line: "config.yaml:14: reminders.send_at: …".
func (p Problem) String() string {
	var b strings.Builder
	switch {
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

// CanBeMeant reports whether it is of an account that ColumnChoice.AsWritten takes.
func (p Problem) CanBeMeant() bool { return looksSpoilt(p.Text) }

// FileError is what is wrong with a file of which no row can be read, and what to
// do about it.
type FileError struct{ Problems []Problem }

func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// plainName is a name that may be repeated in a message. Anything else may be a
// phone number or a secret that slipped into its place.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,39}$`)

// IsPlainName reports whether a name of a column or a key may be repeated.
func IsPlainName(name string) bool { return plainName.MatchString(name) }

// ShownName is a name that is not known, for a message.
func ShownName(name string) string {
	if IsPlainName(name) {
		return name
	}
	return "(not a name)"
}

// OrList is "a, b or c".
func OrList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// WithoutPath is the reason inside an error of the os package, for a message
// that names the file itself.
func WithoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
