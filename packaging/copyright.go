// Command packaging writes the file copyright of the packages: who holds the rights on
// what is linked into duewatch, and under which licence each part may be passed on. It
// is made from the modules themselves, in the form DEP-5 of Debian, so that a new
// library cannot be forgotten. `make deb` and `make rpm` run it.
//
// It fails on a module without a licence, and on a licence that it does not know:
// somebody has to read that one first.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// It is given which package it is for, deb or rpm.
func main() {
	parts, err := linked(".")
	if err == nil {
		err = write(os.Stdout, parts, slices.Equal(os.Args[1:], []string{"deb"}))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "copyright:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// part is what has files of its own about its rights: a module, a folder inside one
// that was taken from elsewhere, or Go's own library.
type part struct {
	name    string
	version string
	license string   // the short name of DEP-5
	text    string   // of the licence, as its holders wrote it
	holders []string // lines such as "2013 Jane Doe"
	extra   string   // NOTICE and PATENTS, which must be passed on too
}

// takenOver is what modules contain of other projects without a file about it.
var takenOver = map[string]part{
	"github.com/mattn/go-sqlite3": {
		name: "SQLite (in github.com/mattn/go-sqlite3)", license: "public-domain", holders: []string{"none: in the public domain"},
		text: "The authors of SQLite have dedicated the code to the public domain: https://www.sqlite.org/copyright.html",
	},
	"github.com/nyaruka/phonenumbers": {
		name: "libphonenumber (in github.com/nyaruka/phonenumbers)", license: "Apache-2.0", holders: []string{"The Libphonenumber Authors"},
		text: "The text of the Apache License, Version 2.0, stands under the other parts that have it.",
	},
}

// linked lists the parts of a program, by what the go command links into it.
func linked(program string) ([]part, error) {
	type pkg struct {
		Dir      string
		Standard bool
		Module   *struct {
			Path, Version, Dir string
			Main               bool
		}
	}
	out, err := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", program).Output() //nolint:noctx,gosec // ends by itself; ours
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	parts := map[string]part{}
	for list := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := list.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := p.Module
		// A folder on the way to a package that has a licence of its own holds what was
		// taken from elsewhere.
		for dir := p.Dir; ; dir = filepath.Dir(dir) {
			name := m.Path + strings.TrimPrefix(dir, m.Dir)
			if _, known := parts[name]; !known && (dir == m.Dir || len(find(dir, licenceFiles...)) > 0) {
				if parts[name], err = read(dir, name, m.Version); err != nil {
					return nil, err
				}
			}
			if dir == m.Dir {
				break
			}
		}
		if over, ok := takenOver[m.Path]; ok {
			over.version = m.Version
			parts[over.name] = over
		}
	}
	root, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output() //nolint:noctx // it ends by itself
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	is := strings.Fields(string(root))
	const own = "Go, its library and runtime"
	if parts[own], err = read(is[0], own, is[1]); err != nil {
		return nil, err
	}
	all := make([]part, 0, len(parts))
	for _, p := range parts {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

// What the files about the rights are called.
var (
	licenceFiles = []string{"LICEN[CS]E", "LICEN[CS]E.txt", "LICEN[CS]E.md", "LICEN[CS]E-*", "COPYING", "COPYING.*"}
	extraFiles   = []string{"NOTICE", "NOTICE.*", "PATENTS"}
)

// find returns the files in a folder that match one of the patterns.
func find(dir string, patterns ...string) (files []string) {
	for _, pattern := range patterns {
		found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are right
		files = append(files, found...)
	}
	return files
}

// read reads the files of a folder about its rights.
func read(dir, name, version string) (part, error) {
	p := part{name: name, version: version}
	for _, file := range find(dir, slices.Concat(licenceFiles, extraFiles)...) {
		text, err := os.ReadFile(file) //nolint:gosec // it is of a library
		if err != nil {
			return p, err
		}
		if base := filepath.Base(file); strings.HasPrefix(base, "NOTICE") || strings.HasPrefix(base, "PATENTS") {
			p.extra += base + ":\n\n" + strings.TrimSpace(string(text)) + "\n"
			p.holders = append(p.holders, holders(string(text))...)
			continue
		}
		if p.text != "" {
			p.text += "\n\n"
		}
		p.text += strings.TrimSpace(string(text))
	}
	if p.text == "" {
		return p, fmt.Errorf("%s %s has no licence: it may not be passed on", name, version)
	}
	var err error
	if p.license, err = classify(p.text); err != nil {
		return p, fmt.Errorf("%s %s: %w", name, version, err)
	}
	p.holders = append(holders(p.text), p.holders...)
	if len(p.holders) == 0 { // the Apache licence names nobody, but the sources do
		for _, file := range find(dir, "*.go", "*/*.go") {
			p.holders = append(p.holders, sourceHolders(file)...)
		}
		slices.Sort(p.holders)
	}
	if len(p.holders) == 0 {
		p.holders = []string{"the authors of " + name}
	}
	p.holders = unique(p.holders)
	return p, nil
}

// sentences are what only the licence of that name says, without regard to the breaks of lines.
var sentences = []struct{ license, says string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "may be used to endorse or promote products derived from"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"MPL-2.0", "mozilla public license version 2.0"},
}

var spaces = regexp.MustCompile(`[\s,]+`)

// classify names the licences of a text.
func classify(text string) (string, error) {
	plain := spaces.ReplaceAllString(strings.ToLower(text), " ")
	var found []string
	for _, s := range sentences {
		if strings.Contains(plain, spaces.ReplaceAllString(s.says, " ")) {
			found = append(found, s.license)
		}
	}
	if strings.Contains(plain, "redistributions in binary form must reproduce") && !slices.Contains(found, "BSD-3-Clause") {
		found = append(found, "BSD-2-Clause")
	}
	if len(found) == 0 {
		first, _, _ := strings.Cut(text, "\n")
		return "", fmt.Errorf("the licence that begins with %q is not known: read it, and add it to packaging/copyright.go", first)
	}
	return strings.Join(found, " and "), nil
}

var holder = regexp.MustCompile(`(?m)^[\s/*#]*Copyright(?: \(c\)| \(C\)| ©)?:? +((?:[0-9][^\n]*|The [^\n]*))$`)

// holders are the lines of a text that say who holds the rights.
func holders(text string) (all []string) {
	for _, match := range holder.FindAllStringSubmatch(text, -1) {
		line := strings.TrimSpace(match[1])
		if i := strings.Index(strings.ToLower(line), " all rights reserved"); i > 0 {
			line = strings.TrimRight(line[:i], ".,")
		}
		all = append(all, line)
	}
	return all
}

// sourceHolders reads the first lines of a file of source.
func sourceHolders(file string) []string {
	text, err := os.ReadFile(file) //nolint:gosec // it is of a library
	if err != nil {
		return nil
	}
	return holders(string(text[:min(len(text), 400)]))
}

func unique(lines []string) (all []string) {
	for _, line := range lines {
		if !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return all
}

// apache stands in for the text of that licence on Debian, which has it on every machine
// and wants no other copy.
const apache = "On Debian, the text of the Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0."

func write(to io.Writer, parts []part, debian bool) error {
	var b strings.Builder
	b.WriteString("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n" +
		"Upstream-Name: duewatch\n" +
		"Comment: The program duewatch contains the parts below. What stands behind Files is\n" +
		" the path and version of a Go module, since the package has none of their files by itself.\n\n" +
		"Files: *\nCopyright: the authors of duewatch\nLicense: none-granted\n" +
		" The source of duewatch comes without a licence: ask its authors before you pass it on.\n")
	for _, same := range group(parts) {
		b.WriteString("\nFiles:")
		for _, p := range same {
			fmt.Fprintf(&b, "\n %s", strings.ReplaceAll(p.name+"@"+p.version, " ", "?"))
		}
		p := same[0]
		fmt.Fprintf(&b, "\nCopyright: %s\nLicense: %s\n", strings.Join(p.holders, "\n "), p.license)
		text := p.text
		if p.license == "Apache-2.0" && debian {
			text = apache
		}
		paragraph(&b, text)
		if p.extra != "" {
			b.WriteString("Comment:\n")
			paragraph(&b, p.extra)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// group puts the parts together that have the same rights, in the order of the first.
func group(parts []part) (groups [][]part) {
	at := map[string]int{}
	for _, p := range parts {
		text := p.text
		if p.license == "Apache-2.0" {
			text = ""
		}
		key := strings.Join(append(p.holders, p.license, text, p.extra), "\x00")
		i, known := at[key]
		if !known {
			i, at[key] = len(groups), len(groups)
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// paragraph writes the lines of a text as the value of a field.
func paragraph(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \t\r\n"); line == "" {
			line = "."
		}
		b.WriteString(" " + line + "\n")
	}
}
