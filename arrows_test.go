package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is who may import whom of our own packages: the layering that
// docs/architecture.md explains. An arrow against it, or a package that is not
// in it, fails the build. Tests are free to import what they like.
//
// Who may import which library is held by depguard in .golangci.yaml.
var arrows = map[string][]string{
	".":      {"cli"},
	"alerts": {},
	"cli": {
		"daemon", "config", "importer", "holidays", "reminder", "almara", "store", "notifier", "scheduler", "sandbox", "web", "systemd", "alerts",
	},
	"daemon": {
		"config", "importer", "holidays", "reminder", "almara", "store", "notifier", "scheduler", "sandbox", "web", "systemd", "alerts",
	},
	"config":   {"reminder", "importer", "holidays"},
	"importer": {"reminder"},
	"holidays": {"reminder"},
	"reminder": {},
	"almara":   {"reminder"},
	"store":    {"reminder", "store/db"},
	"store/db": {},
	// Runs a PostgreSQL server for tests and benchmarks.
	"store/db/pgtest": {},
	"notifier":        {"reminder"},
	"scheduler":       {"reminder", "almara", "store", "notifier"},
	"sandbox":         {"reminder"},
	"web":             {"reminder", "store", "notifier"},
	"systemd":         {},
	// Measures the others, but for what only a person or a browser sees.
	"bench": {
		"bench/gen", "daemon", "config", "importer", "holidays", "reminder", "almara", "store", "store/db/pgtest", "notifier", "scheduler",
		"sandbox", "systemd",
	},
	"bench/gen": {},
	"packaging": {},
}

func TestArrows(t *testing.T) {
	for file, imports := range sources(t) {
		from := path.Dir(file)
		allowed, known := arrows[from]
		if !known {
			t.Errorf("%s: package %s has no place in the house: give it a row in arrows, and a reason in docs/architecture.md", file, from)
			continue
		}
		for _, to := range imports {
			if !slices.Contains(allowed, to) {
				t.Errorf("%s: %s may not import %s, only %v", file, from, to, allowed)
			}
		}
	}
}

// sources maps each Go file of the module that is not a test, by its path from
// the root, to the packages of ours that it imports, by theirs ("." for the
// root).
func sources(t *testing.T) map[string][]string {
	t.Helper()
	const module = "duewatch"
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		ours := []string{}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if imported == module {
				ours = append(ours, ".")
			} else if to, ok := strings.CutPrefix(imported, module+"/"); ok {
				ours = append(ours, to)
			}
		}
		found[filepath.ToSlash(name)] = ours
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no Go file was found: the test looks in the wrong place")
	}
	return found
}
