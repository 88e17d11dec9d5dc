package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"duewatch/reminder"
)

// TestEveryReasonIsInTheDocs holds the operator's list of reasons to the code's.
func TestEveryReasonIsInTheDocs(t *testing.T) {
	b, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reminder.Reasons {
		if row := fmt.Sprintf("| `%v` | %v | %v |\n", r.Reason, r.Outcome, r.Means); !strings.Contains(string(b), row) {
			t.Errorf("docs/operations.md lacks the row\n%s", row)
		}
	}
	for _, w := range reminder.Warnings {
		if row := fmt.Sprintf("| `%v` | %v | `duewatch release --reason %[1]v` |\n", w.Reason, w.Means); !strings.Contains(string(b), row) {
			t.Errorf("docs/operations.md lacks the row\n%s", row)
		}
	}
}

var (
	fileName = regexp.MustCompile(`^[\w*-][\w*./-]*\.(go|sql|md)$`)
	// codeName has an inner capital, which no key of the config, column or command has.
	codeName = regexp.MustCompile(`^(\w+\.)*\w*[a-z.][A-Z]\w*$`)
	word     = regexp.MustCompile(`\w+`)
)

// TestEveryNameInTheDocsExists holds the files, identifiers and tests that the pages
// name to the tree: a page that names what was renamed misleads its reader.
func TestEveryNameInTheDocsExists(t *testing.T) {
	declared, anywhere := namesInCode(t)
	checked := 0
	for _, page := range glob(t, "docs/*.md", "README.md", "CHANGELOG.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, match := range quoted.FindAllStringSubmatch(line, -1) {
				name, _, _ := strings.Cut(match[1], "/")
				switch {
				case fileName.MatchString(match[1]):
					checked++
					if !fileExists(t, match[1]) {
						t.Errorf("%s names the file %s, which does not exist", page, match[1])
					}
				case codeName.MatchString(name):
					checked++
					if !codeExists(name, declared, anywhere) {
						t.Errorf("%s names %s, which the code does not have", page, name)
					}
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("the docs hold %d names of files and code: are they read?", checked)
	}
}

// fileExists reports whether there is a file of that name or pattern: at its path, or
// in any folder where the name has none.
func fileExists(t *testing.T, name string) bool {
	t.Helper()
	if strings.Contains(name, "/") {
		return len(glob(t, name)) > 0
	}
	return len(glob(t, name, "*/"+name, "*/*/"+name)) > 0
}

// codeExists reports whether store.DecideDue, Policy.Ambiguous or checkToRequest is in
// the code. A name of another library's package is taken to exist.
func codeExists(name string, declared map[string]map[string]bool, anywhere map[string]bool) bool {
	parts := strings.Split(name, ".")
	if len(parts) == 1 {
		return anywhere[name]
	}
	has := func(of map[string]bool, parts []string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !of[part] })
	}
	if own, ok := declared[parts[0]]; ok {
		return has(own, parts[1:])
	}
	for _, names := range declared {
		if has(names, parts) {
			return true
		}
	}
	return strings.ToLower(parts[0]) == parts[0]
}

// namesInCode are the names that each package declares, by its last element, and the
// names that are declared or stand in a string anywhere, such as the keys of an API.
func namesInCode(t *testing.T) (declared map[string]map[string]bool, anywhere map[string]bool) {
	t.Helper()
	declared, anywhere = map[string]map[string]bool{}, map[string]bool{}
	for _, path := range glob(t, "*.go", "*/*.go", "*/*/*.go") {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		place := filepath.Base(filepath.Dir(path))
		if declared[place] == nil {
			declared[place] = map[string]bool{}
		}
		add := func(names ...*ast.Ident) {
			for _, name := range names {
				declared[place][name.Name], anywhere[name.Name] = true, true
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				add(n.Name)
			case *ast.TypeSpec:
				add(n.Name)
			case *ast.ValueSpec:
				add(n.Names...)
			case *ast.Field:
				add(n.Names...)
			case *ast.BasicLit:
				for _, w := range word.FindAllString(n.Value, -1) {
					anywhere[w] = true
				}
			}
			return true
		})
	}
	return declared, anywhere
}

// glob returns the files of all patterns.
func glob(t *testing.T, patterns ...string) (files []string) {
	t.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}
