package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"duewatch/reminder"
	"duewatch/store"
)

// A pause of a service whose command died after its first bills holds for the others as
// well: explain does not promise their texts.
func TestExplainPromisesNoTextOfABillThatAPauseHasNotReached(t *testing.T) {
	cfg, path := verifiedStore(t)
	s, err := store.Open(t.Context(), cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	var first []reminder.Bill // by their accounts, and more than a page of the pause
	for i := range 600 {
		first = append(first, reminder.Bill{Service: "17", Account: fmt.Sprintf("a%03d", i), Phone: "+254710000004"})
	}
	if _, err := s.Import(t.Context(), "import", first, wallClock(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	ctx, die := context.WithCancel(t.Context())
	pause := store.BulkOp{Selector: store.Selector{Service: "17"}, At: wallClock(), Who: "x", Progress: func(int) { die() }}
	if _, err := s.Pause(ctx, pause, store.Pause{Detail: "by x"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the pause was not interrupted: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := Run(t.Context(), []string{"explain", "not-said", "--config", path}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"account not-said: active", "not sent while the bill is paused",
		"if decided now: it would be paused, by a pause of its service or phone that has yet to reach it"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
}
