package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

// printColumns says what the columns were taken for, unless they have the names
// that we write: an account that is taken from the wrong column is somebody else's.
func (i *billImport) printColumns(c importer.Columns) {
	if c.Above > 0 {
		fmt.Fprintf(i.app.stderr, "%s: %s above the header passed over\n", i.name, countOf(c.Above, "row"))
	}
	if !c.Own {
		fmt.Fprintf(i.app.stderr, "%s: %s\n", i.name, c)
	}
}

// printFirst shows the first rows of the file as they were understood, by which
// somebody who knows the list sees a column that is not what it was taken for.
func (i *billImport) printFirst(b importer.Batch) {
	if i.count.rows > 0 {
		return
	}
	rows := slices.Clone(b.Good)
	slices.SortFunc(rows, func(m, n reminder.ListedBill) int { return cmp.Compare(m.Line, n.Line) })
	if len(rows) > 0 {
		i.progress.clear()
	}
	for _, row := range rows[:min(len(rows), firstRows)] {
		words := fmt.Sprintf("service %s, account %s, phone %s", row.Bill.Service, row.Bill.Account, row.Bill.Phone)
		if row.Bill.Description != "" {
			words += fmt.Sprintf(", description %q", row.Bill.Description)
		}
		if row.Bill.Language != "" {
			words += ", language " + row.Bill.Language
		}
		fmt.Fprintf(i.app.stdout, "%s:%d: %s\n", i.name, row.Line, words)
	}
}

// printChanges names the bills of a batch that would change, in the order of the
// file.
func (i *billImport) printChanges(b importer.Batch, changes []store.Change) {
	var rows []int
	for n, change := range changes {
		if change.Kind == store.Changed {
			rows = append(rows, n)
		}
	}
	slices.SortFunc(rows, func(m, n int) int { return cmp.Compare(b.Good[m].Line, b.Good[n].Line) })
	if len(rows) > 0 {
		i.progress.clear()
	}
	for _, n := range rows {
		l := b.Good[n]
		fmt.Fprintf(i.app.stdout, "%s:%d: bill %s of service %s would change: %s\n",
			i.name, l.Line, l.Bill.Account, l.Bill.Service, strings.Join(changes[n].Fields.Names(), ", "))
	}
}

// interrupted says what an import that ended early leaves behind.
func (i *billImport) interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	done := i.count.added + i.count.changed
	switch {
	case i.dryRun || (i.allOrNothing && i.progress.what == "checking") || done == 0:
		return fmt.Errorf("%w; nothing was written", err)
	default:
		return fmt.Errorf("%w; %d bills were added and %d changed before: the same command goes on from there",
			err, i.count.added, i.count.changed)
	}
}

// summary prints what became of the rows.
func (i *billImport) summary(notes importer.Notes, took time.Duration) error {
	n := i.count
	nothing := i.dryRun || (i.allOrNothing && n.bad > 0)
	if i.asJSON {
		fields := map[string]int{}
		for f, name := range store.FieldNames {
			if n.fields[f] > 0 {
				fields[name] = n.fields[f]
			}
		}
		return json.NewEncoder(i.app.stdout).Encode(struct {
			File           string         `json:"file"`
			Written        bool           `json:"written"`
			Rows           int            `json:"rows"`
			Added          int            `json:"added"`
			Changed        int            `json:"changed"`
			ChangedColumns map[string]int `json:"changed_columns"`
			Unchanged      int            `json:"unchanged"`
			Refused        int            `json:"refused"`
			Mended         map[string]int `json:"mended,omitempty"`
			NewRanges      map[string]int `json:"new_ranges,omitempty"`
			Foreign        map[string]int `json:"foreign,omitempty"`
			Gone           map[string]int `json:"may_be_gone,omitempty"`      // rows by what a column of the status says
			Unknown        map[string]int `json:"unknown_services,omitempty"` // rows by the id that the config has not
			Seconds        float64        `json:"seconds"`
		}{
			i.name, !nothing, n.rows, n.added, n.changed, fields, n.same, n.bad,
			notes.Mended, notes.NewRanges, notes.Foreign, notes.Gone, n.unknown.shown(i.cfg.Country), took.Seconds(),
		})
	}
	for _, warning := range n.unknown.warnings(i.cfg.Country, i.app.configPath) {
		fmt.Fprintln(i.app.stderr, warning)
	}
	add, change := "added", "changed"
	if nothing {
		add, change = "to add", "to change"
	}
	var fields []string
	for f, name := range store.FieldNames {
		if n.fields[f] > 0 {
			fields = append(fields, fmt.Sprintf("%s %d", name, n.fields[f]))
		}
	}
	fmt.Fprintf(i.app.stdout, "%s: %s: %d %s, %d %s, %d unchanged, %d refused\n",
		i.name, countOf(n.rows, "row"), n.added, add, n.changed, change, n.same, n.bad)
	if len(fields) > 0 {
		fmt.Fprintf(i.app.stdout, "of those %s: %s\n", change, strings.Join(fields, ", "))
	}
	for _, line := range notes.Lines() {
		fmt.Fprintln(i.app.stdout, line)
	}
	return nil
}

func rowsAreWrong(n int) string {
	if n == 1 {
		return "1 row is wrong"
	}
	return fmt.Sprintf("%d rows are wrong", n)
}

func itOrThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
