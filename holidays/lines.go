package holidays

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// property is one content line: NAME;PARAMETER=x:VALUE.
type property struct {
	line       int
	name       string // in capital letters
	parameters string // all of them, in capital letters
	value      string
}

// component is a VEVENT as written in the file.
type component struct {
	line       int
	properties map[string][]property
}

// first is the first property of that name; its value is "" when there is none.
func (c component) first(name string) property {
	if all := c.properties[name]; len(all) > 0 {
		return all[0]
	}
	return property{line: c.line, name: name}
}

// isUTF16 reports whether the text is UTF-16, which Windows calls Unicode.
func isUTF16(text string) bool {
	return strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.Contains(text[:min(len(text), 64)], "\x00")
}

// lineCount is the number of lines, counted as in properties.
func lineCount(text string) int { return max(len(physicalLines(text)), 1) }

// physicalLines splits a text at CRLF, LF and CR.
func physicalLines(text string) []string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// properties joins folded lines (RFC 5545, 3.1) and parses them. Some programs break
// a long text without folding it: a line without a name continues the value before
// it.
func properties(text string) []property {
	type contentLine struct {
		line int
		text []byte // bytes, so that a megabyte of folds is not copied for each of them
	}
	var unfolded []*contentLine
	for i, line := range physicalLines(text) {
		line = strings.TrimPrefix(line, "\ufeff") // also at the start of a second file that was appended
		switch {
		case line == "":
		case (line[0] == ' ' || line[0] == '\t') && len(unfolded) > 0:
			last := unfolded[len(unfolded)-1]
			last.text = append(last.text, line[1:]...)
		default:
			unfolded = append(unfolded, &contentLine{i + 1, []byte(line)})
		}
	}
	var named []*contentLine
	for _, l := range unfolded {
		switch _, ok := nameOf(l.text); {
		case ok:
			named = append(named, l)
		case len(named) == 0:
		default:
			last := named[len(named)-1]
			if name, _ := nameOf(last.text); name != "BEGIN" && name != "END" {
				last.text = append(last.text, l.text...)
			}
		}
	}
	out := make([]property, len(named))
	for i, l := range named {
		out[i] = parseProperty(l.line, string(l.text))
	}
	return out
}

// nameOf is the name that a content line begins with.
func nameOf(line []byte) (name string, ok bool) {
	end := bytes.IndexFunc(line, func(r rune) bool {
		return r > unicode.MaxASCII || r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 1 || line[end] != ':' && line[end] != ';' {
		return "", false
	}
	return strings.ToUpper(string(line[:end])), true
}

// parseProperty parses a line that has a name. A colon inside quotation marks belongs
// to a parameter, unless there is none outside of them.
func parseProperty(line int, text string) property {
	quoted := false
	colon := strings.IndexFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ':' && !quoted
	})
	if colon < 0 {
		colon = strings.LastIndexByte(text, ':')
	}
	name, parameters, _ := strings.Cut(strings.ToUpper(text[:max(colon, 0)]), ";")
	return property{line, name, parameters, strings.TrimSpace(text[colon+1:])}
}

// unescaped undoes the escapes of a TEXT.
var unescaped = strings.NewReplacer(`\n`, "\n", `\N`, "\n", `\,`, ",", `\;`, ";", `\\`, `\`)

// plain is a TEXT as one line for people: at most 60 characters, and none that
// controls a terminal.
func plain(text string) string {
	const longest = 60 // characters
	text = unescaped.Replace(strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if utf8.RuneCountInString(text) > longest {
		text = string([]rune(text)[:longest]) + "…"
	}
	return text
}

// shown quotes a value of the file for a message.
func shown(value string) string { return fmt.Sprintf("%q", plain(value)) }
