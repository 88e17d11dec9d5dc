package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// TestEveryLessonHasItsTest holds docs/lessons.md to the source: each test that
// it names is there, and each test of a lessons file is named.
func TestEveryLessonHasItsTest(t *testing.T) {
	page, err := os.ReadFile("docs/lessons.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}            // package.TestName
	there := map[string]map[string]bool{} // the tests of each package
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || !strings.Contains(cells[2], "Test") {
			continue
		}
		place := quoted.FindStringSubmatch(cells[3])
		if place == nil {
			t.Errorf("no package in the row %s", line)
			continue
		}
		for _, match := range quoted.FindAllStringSubmatch(cells[2], -1) {
			test, script, _ := strings.Cut(match[1], "/")
			named[place[1]+"."+test] = true
			if there[place[1]] == nil {
				there[place[1]] = testsOf(t, place[1], "*_test.go")
			}
			if !there[place[1]][test] {
				t.Errorf("package %s has no %s, which docs/lessons.md names", place[1], test)
			}
			if script != "" {
				if _, err := os.Stat(filepath.Join(place[1], "testdata", "script", script+".txtar")); err != nil {
					t.Errorf("docs/lessons.md names %s: %v", match[1], err)
				}
			}
		}
	}
	if len(named) < 20 {
		t.Errorf("docs/lessons.md names %d tests: is its table read?", len(named))
	}
	files, err := filepath.Glob("*/lessons*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]bool{}
	for _, file := range files {
		places[filepath.Dir(file)] = true
	}
	for place := range places {
		for test := range testsOf(t, place, "lessons*_test.go") {
			if !named[place+"."+test] {
				t.Errorf("docs/lessons.md does not name %s of %s", test, place)
			}
		}
	}
}

// testsOf are the names of the tests in a package's files of that pattern.
func testsOf(t *testing.T, place, pattern string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(place, pattern))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}
