package importer

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// sharedTexts are the texts of a workbook, which the cells of all its sheets name by
// number. They are one string and the places where each ends: a million accounts
// would be a million small pieces of memory otherwise.
type sharedTexts struct {
	all  string
	ends []uint32
}

func (s *sharedTexts) count() int { return len(s.ends) }

func (s *sharedTexts) at(i int) string {
	start := uint32(0)
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.all[start:s.ends[i]]
}

// sharedTexts reads the part that holds them.
func (w *workbook) sharedTexts(name string) (found sharedTexts, err error) {
	p, err := w.open(name, maxUnpacked)
	if err != nil {
		return found, err
	}
	var all strings.Builder
	var text []byte
	for {
		t, err := p.next()
		if errors.Is(err, io.EOF) {
			found.all = all.String()
			return found, nil
		}
		if err != nil {
			return found, err
		}
		tag, ok := t.(xml.StartElement)
		if !ok || tag.Name.Local != "si" {
			continue
		}
		if _, _, err := p.content(&text); err != nil {
			return found, err
		}
		all.WriteString(unescaped(string(text)))
		found.ends = append(found.ends, uint32(all.Len())) //nolint:gosec // bounded in the next line
		if all.Len() > maxSharedText || len(found.ends) > maxSharedCount {
			return found, errTooLarge
		}
	}
}

// content reads on to the end of a cell or a shared text whose tag was read. The text
// is its value or all its runs of rich text, without the reading aid that Japanese
// texts have. A cell may be a formula, and may have no value at all.
func (p *part) content(text *[]byte) (formula, valued bool, err error) {
	*text = (*text)[:0]
	depth, within, aid := p.depth, false, false
	for {
		t, err := p.next()
		if err != nil {
			return false, false, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "f":
				formula = true
			case "rPh":
				aid = true
			case "v", "t":
				within = !aid
				valued = valued || within
			}
		case xml.CharData:
			if within && len(*text) <= maxCSVRow { // more is refused with its row
				*text = append(*text, t...)
			}
		case xml.EndElement:
			if p.depth < depth {
				return formula, valued, nil
			}
			within = false
			aid = aid && t.Name.Local != "rPh"
		}
	}
}

// attribute is the value of an attribute without a namespace, "" when it is missing.
func attribute(tag xml.StartElement, name string) string {
	for _, a := range tag.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// escaped is how a workbook writes characters that XML cannot hold, such as the
// carriage return of a line break as _x000D_.
var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

func unescaped(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escaped.ReplaceAllStringFunc(s, func(code string) string {
		n, err := strconv.ParseUint(code[2:6], 16, 16)
		if err != nil || (n >= 0xd800 && n < 0xe000) {
			return code
		}
		return string(rune(n))
	})
}
