package cli_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"duewatch/sandbox"
)

// csvRows are rows of a file of bills, with phones from …10 on, from number
// from on.
func csvRows(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%s,I-%06d,07100000%02d\n", sandbox.ServiceWater, i, 10+i%90)
	}
	return b.String()
}

const csvHeader = "service,account,phone\n"

// imports runs an import to its end and returns its summary.
func (o *outside) imports(file string, flags ...string) string {
	o.t.Helper()
	if err := os.WriteFile(o.path("bills.csv"), []byte(file), 0o600); err != nil {
		o.t.Fatal(err)
	}
	out, err := o.command(append([]string{"import", "bills.csv"}, flags...)...).CombinedOutput()
	if err != nil {
		o.t.Fatalf("import: %v\n%s", err, out)
	}
	return string(out)
}

// The daemon finds by itself what is imported beside it, and texts it.
func TestImportBesideTheDaemon(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	d := o.start()
	d.await(" is up")
	got := o.imports(csvHeader + sandbox.ServiceWater + ",DUE+3-A,0710000001\n")
	if !strings.HasSuffix(got, "\nbills.csv: 1 row: 1 added, 0 changed, 0 unchanged, 0 refused\n") || !strings.HasPrefix(got, "warning: service 1042 is nowhere in ") {
		t.Errorf("the import says %q", got)
	}
	d.await("text accepted", "DUE+3-A")
	// Many at once: the daemon goes on in between.
	o.imports(csvHeader+sandbox.ServiceWater+",DUE+3-B,0710000002\n"+csvRows(0, 20_000), "--all-or-nothing")
	d.await("text accepted", "DUE+3-B")
	d.stop()
}

// An import that was interrupted, or killed, has done whole batches, and goes
// on from there when it is run again.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"interrupted": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutside(t)
			d := o.start()
			d.await(" is up")
			d.stop()

			c := o.command("import", "-")
			in, out := io.Pipe() // that stays open: the import waits for more
			c.Stdin = in
			i := o.run(c)
			if _, err := io.WriteString(out, csvHeader+csvRows(0, 50_500)); err != nil {
				t.Fatal(err)
			}
			exported := func() int {
				b, err := o.command("export").Output()
				if err != nil {
					t.Fatal(err)
				}
				return strings.Count(string(b), "\n") - 1
			}
			o.poll("a whole batch", func() bool { return exported() == 50_000 })
			i.signal(signal)
			if signal == syscall.SIGINT {
				// Else the end of its input could reach it before the signal.
				i.await("duewatch: interrupted; 50000 bills were added and 0 changed before: the same command goes on from there")
			}
			_ = out.Close() // or the copying into its stdin would never end
			status := i.awaitEnd()
			if signal == syscall.SIGINT && status != 1 {
				t.Errorf("it ended with status %d", status)
			}
			if got := o.imports(csvHeader + csvRows(0, 50_500)); !strings.HasSuffix(got, "bills.csv: 50500 rows: 500 added, 0 changed, 50000 unchanged, 0 refused\n") {
				t.Errorf("run again it says %q", got)
			}
		})
	}
}

// What commands do beside the daemon takes effect at once, however seldom its
// jobs tick: they are woken by the change itself.
func TestCommandsBesideTheDaemon(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write(strings.ReplaceAll(string(config), "@every 1s", "@every 10h"))
	d := o.start()
	d.await(" is up")
	bill := func(account, phone string) string {
		return csvHeader + sandbox.ServiceWater + "," + account + "," + phone + "\n"
	}
	o.imports(bill("DUE+3-A", "0710000001"))
	d.await("text accepted", "DUE+3-A")

	o.does("optout", "add", "0710000002")
	o.imports(bill("DUE+3-B", "0710000002"))
	d.await("reminder skipped", "DUE+3-B", "opted_out")

	o.does("pause", "DUE+3-A")
	if got := o.explain("DUE+3-A").Bill.State; got != "paused" {
		t.Errorf("the paused bill is %s", got)
	}
	for _, reads := range [][]string{{"bills"}, {"explain", "DUE+3-A"}, {"release"}, {"export"}, {"optout", "list"}, {"backup", "b.db"}, {"check"}} {
		o.does(reads...)
	}
	o.imports(bill("DUE+3-C", "0710000003"))
	d.await("text accepted", "DUE+3-C")
	d.stop()
	o.wantTexts(2)
}
