package main

import (
	"fmt"
	"os"
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
