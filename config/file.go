package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"duewatch/importer"
)

// document is the YAML file as read: what it says and where it says it.
type document struct {
	name     string // of the file, as the operator wrote it
	problems *problems

	// services and bills are kept beside koanf, which has nothing to merge
	// into them and copies what it holds.
	services []entry
	bills    []entry
	// unreadable means that nothing is known of what the file holds, so that
	// no key can be called missing.
	unreadable bool
	places     map[string]place // by path: almara.timeout, reminders.holidays[2], bills[0].phone
}

// entry is one item of services or bills.
type entry struct {
	path   string // bills[0]
	at     place
	fields map[string]any
}

// Unmarshal makes a document a koanf.Parser that keeps each value as the text
// that was written. The parser that comes with koanf decodes numbers, and so
// turns account 0123 into 83. What is wrong becomes a problem and is left out.
func (d *document) Unmarshal(b []byte) (map[string]any, error) {
	root := d.parse(b)
	if root == nil {
		return nil, nil
	}
	return d.section(schema, root, ""), nil
}

// Marshal is required of a koanf.Parser and never called.
func (d *document) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.New("a config is read, not written")
}

// parse returns the top of the file's one YAML document; nil when the file is
// empty or cannot be parsed.
func (d *document) parse(b []byte) *yaml.Node {
	if line, fault := notText(b); fault != "" {
		d.unreadable = true
		d.problems.add(d.at(line), "", "%s", fault)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	switch err := decoder.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
	default:
		d.problems.add(d.at(more.Line), "", "a second YAML document starts here: keep one, and remove the line ---")
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// notText finds the first line that YAML cannot hold, which its parser reports
// without a line.
func notText(b []byte) (line int, fault string) {
	line = 1
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, "is not UTF-8 text: save the file as UTF-8"
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line, "holds a control character: remove it"
		}
		i += size
	}
	return 0, ""
}

// The parser gives its line and its reason in one text, and has no error type.
var (
	syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	quotedText  = regexp.MustCompile(`'[^']{2,}'`)
)

// syntax reports an error of the YAML parser. A secret that starts with * is
// an alias to YAML, and would be repeated as its name.
func (d *document) syntax(err error) {
	d.unreadable = true
	text := err.Error()
	line := 1 // the parser leaves the line out when it is the first
	if m := syntaxError.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = max(n, 1)
		}
	}
	text = quotedText.ReplaceAllString(text, "…")
	d.problems.add(d.at(line), "", "is not YAML here or in the lines just around: %s; "+
		"check the indent, and quote values with : # * & ! { [ or @", text)
}

func (d *document) at(line int) place { return place{file: d.name, line: line} }

// plain reports whether the node is one that this file may have, with a
// problem when it is not.
func (d *document) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.problems.add(d.at(n.Line), path, "anchors and aliases (& and *) are not used here: "+
			"write the value out, in quotes when it starts with such a sign")
	case n.Style&yaml.TaggedStyle != 0:
		d.problems.add(d.at(n.Line), path, "YAML tags (!) are not used here: remove it, or quote a value that starts with !")
	default:
		return true
	}
	return false
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// section reads the keys of k below path. A section without keys is as good as
// none: that is what remains when an operator comments them all out.
func (d *document) section(k key, n *yaml.Node, path string) map[string]any {
	out := map[string]any{}
	if !d.plain(n, path) || null(n) {
		return out
	}
	if n.Kind != yaml.MappingNode {
		what := "a list"
		if n.Kind == yaml.ScalarNode {
			what = "one value"
		}
		d.problems.add(d.at(n.Line), path, "is %s: write its keys below it, one a line as key: value", what)
		return out
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := d.at(name.Line)
		switch {
		case name.Tag == "!!merge":
			d.problems.add(at, path, "merge keys (<<) are not used here: write the values out")
			continue
		case name.Kind != yaml.ScalarNode || !d.plain(name, path):
			d.problems.add(at, path, "has a key that is no name: write key: value")
			continue
		}
		here := join(path, importer.ShownName(name.Value))
		if line, twice := first[name.Value]; twice {
			d.problems.add(at, here, "is written twice, first in line %d: keep one", line)
			continue
		}
		first[name.Value] = name.Line
		child, known := k.child(name.Value)
		if !known {
			d.problems.add(at, here, "unknown key%s", suggestion(k, name.Value))
			continue
		}
		d.places[here] = at
		if v := d.value(child, value, here); v != nil {
			out[name.Value] = v
		}
	}
	return out
}

// value reads what stands behind one key; nil when there is nothing to merge.
func (d *document) value(k key, n *yaml.Node, path string) any {
	switch k.shape {
	case section, byLanguage:
		return d.section(k, n, path)
	case list:
		if items := d.items(n, path); items != nil {
			return d.texts(items, path)
		}
	case entries:
		d.entries(k, d.items(n, path), path)
	default:
		if s, ok := d.text(n, path, d.places[path]); ok {
			return s
		}
	}
	return nil
}

// text reads one value as it was written.
func (d *document) text(n *yaml.Node, path string, at place) (string, bool) {
	switch {
	case !d.plain(n, path):
	case null(n):
		d.problems.add(at, path, `has no value: write one, in quotes when it has a #, or remove the line to keep the default`)
	case n.Kind != yaml.ScalarNode:
		d.problems.add(at, path, "is a list or a group of keys: write one value")
	default:
		return n.Value, true
	}
	return "", false
}

// items are the items of a list; nil when there is no list.
func (d *document) items(n *yaml.Node, path string) []*yaml.Node {
	switch {
	case !d.plain(n, path):
	case null(n):
		// Not taken as empty: a list of bills that lost its items would
		// remove every bill.
		d.problems.add(d.places[path], path, "has no value: write [] for an empty list, or remove the line to keep the default")
	case n.Kind != yaml.SequenceNode:
		d.problems.add(d.places[path], path, "is not a list: write [one, another], or one item a line after a dash")
	case n.Content == nil:
		return []*yaml.Node{}
	default:
		return n.Content
	}
	return nil
}

func (d *document) texts(items []*yaml.Node, path string) []string {
	out := make([]string, 0, len(items))
	for i, item := range items {
		here := index(path, i)
		d.places[here] = d.at(item.Line)
		// A faulty item stays in the list as "", so that the numbers of
		// the others stay right; its problem is already noted.
		s, _ := d.text(item, here, d.places[here])
		out = append(out, s)
	}
	return out
}

func (d *document) entries(k key, items []*yaml.Node, path string) {
	for i, item := range items {
		e := entry{path: index(path, i), at: d.at(item.Line)}
		d.places[e.path] = e.at
		e.fields = d.section(group(k.name, k.keys...), item, e.path)
		switch k.name {
		case "services":
			d.services = append(d.services, e)
		case "bills":
			d.bills = append(d.bills, e)
		}
	}
}

// index is the path of an item of a list, counted from 0.
func index(path string, i int) string {
	var b strings.Builder
	b.WriteString(path)
	b.WriteByte('[')
	b.WriteString(strconv.Itoa(i))
	b.WriteByte(']')
	return b.String()
}
