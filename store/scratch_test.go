package store

import (
	"path/filepath"
	"testing"
)

// A store that is thrown away has the schema and the checks of any other,
// whether it is in memory or a file.
func TestScratchIsAStore(t *testing.T) {
	aboutFiles(t)
	for name, path := range map[string]string{"memory": "", "file": filepath.Join(t.TempDir(), "scratch.db")} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenScratch(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { mustDo(t, s.Close()) }()
			p := newPolicy()
			ready(t, s, p, billOf(1), billOf(2))
			if l := must(s.DecideDue(t.Context(), roundAt(p, firstStage), 10)); len(l.Texts) != 2 {
				t.Errorf("%d texts, want 2", len(l.Texts))
			}
			if number(t, s, "PRAGMA foreign_keys") != 1 {
				t.Error("foreign keys are not checked")
			}
			if err := tryChange(s, "INSERT INTO due_remind (bill_id, at) VALUES (99, 1)"); err == nil {
				t.Error("it took a look at a bill that is not there")
			}
		})
	}
}
