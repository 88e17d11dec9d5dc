package cli_test

import (
	"os"
	"strings"
	"testing"

	"duewatch/sandbox"
)

// does runs a command that must succeed, and returns what it prints.
func (o *outside) does(args ...string) string {
	o.t.Helper()
	out, err := o.command(args...).CombinedOutput()
	if err != nil {
		o.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// An old backup is put back as docs/operations.md says: the daemon comes up
// stopped, goes on when the operator lets it, and texts nobody twice.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	d := o.start()
	d.await(" is up")
	if got := o.does("backup", "empty.db"); !strings.HasPrefix(got, "empty.db: 0 bills, 0 texts, 0 opt-outs; 0.") || !strings.HasSuffix(got, " MB, read back and whole\n") {
		t.Errorf("the backup says %q", got)
	}
	d.stop()
	row := func(account, phone string) string {
		return sandbox.ServiceWater + "," + account + "," + phone + "\n"
	}
	o.imports(csvHeader + row("DUE+3-A", "0710000001") + row("DUE+3-B", "0710000002"))
	o.does("backup", "old.db")

	d = o.start()
	d.await("text accepted", "DUE+3-A")
	d.await("text accepted", "DUE+3-B")
	if got := o.does("backup", "new.db", "--json"); !strings.Contains(got, `"bills":2,`) || !strings.Contains(got, `"texts":2}`) {
		t.Errorf("beside the daemon the backup says %s", got)
	}
	d.stop()

	if err := os.Rename(o.path("old.db"), o.path("duewatch.db")); err != nil {
		t.Fatal(err)
	}
	d = o.start()
	d.await("sending is stopped: the provider has texts that this store does not know")
	o.imports(csvHeader + row("DUE+3-C", "0710000003"))
	o.poll("a reminder that is held", func() bool {
		s := o.explain("DUE+3-C")
		return len(s.Plan) > 0 && s.Bill.State == "active" && strings.Contains(o.does("bills", "--held", "copied_store"), "DUE+3-C")
	})
	o.wantTexts(2)
	if got := o.does("release"); !strings.Contains(got, "DUE+3-A") || !strings.Contains(got, "DUE+3-B") {
		t.Errorf("release says %s", got)
	} else {
		for line := range strings.Lines(got) {
			if len([]rune(line)) > 81 {
				t.Errorf("wider than a terminal: %s", line)
			}
		}
	}
	o.does("release", "--reason", "copied_store")
	d.await("text accepted", "DUE+3-C")
	d.awaitPasses(3)
	d.stop()
	o.wantTexts(3)
}
