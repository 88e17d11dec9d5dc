package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"duewatch/reminder"
	"duewatch/store"
)

func commands(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	a := &app{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), now: wallClock}
	_ = eachCommand(a.root(), func(c *cobra.Command) error {
		all = append(all, c)
		return nil
	})
	return all
}

// asText are the commands that print no data, or data of another form.
var asText = map[string]string{
	"duewatch":            "prints help",
	"duewatch run":        "is the daemon; log.format is json",
	"duewatch sandbox":    "is a server",
	"duewatch export":     "prints CSV",
	"duewatch completion": "prints a script",
	"duewatch optout":     "prints help",
}

// Whoever asks a command for help is shown what it does, and an example, on a
// terminal of 80 columns.
func TestEveryCommandHelps(t *testing.T) {
	for _, c := range commands(t) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Short == "" || c.Long == "" {
				t.Error("it does not say what it does")
			}
			if c.Runnable() && c.Example == "" {
				t.Error("it has no example")
			}
			for line := range strings.Lines(c.Example) {
				if !strings.HasPrefix(line, "  ") || !strings.Contains(line, c.CommandPath()) {
					t.Errorf("the example %q does not run it", line)
				}
			}
			var help bytes.Buffer
			c.SetOut(&help)
			if err := c.Help(); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(help.String()) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			path := c.CommandPath()
			if c.Flags().Lookup("json") == nil && asText[path] == "" {
				t.Error("it has no --json")
			}
		})
	}
}

// Every command has a page, made of the same words as its help.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if status := Run(t.Context(), []string{"man", dir}, &out, &out); status != 0 {
		t.Fatalf("status %d: %s", status, out.String())
	}
	for _, c := range commands(t) {
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		plain := strings.NewReplacer(`\-`, "-", `\&`, "", `\e`, `\`, `\[u2026]`, "…").Replace(string(page))
		for _, part := range []string{".TH ", ".SH NAME\n", c.Short, c.Long, c.Example} {
			if !strings.Contains(plain, strings.TrimSpace(part)) {
				t.Errorf("the page of %s lacks %q:\n%s", c.CommandPath(), part, page)
			}
		}
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, "'") || (strings.HasPrefix(line, ".") && !slices.Contains([]string{".TH", ".SH", ".B", ".nf", ".fi", ".nh", ".ad"}, strings.Fields(line)[0])) {
				t.Errorf("the page of %s has a line that roff would take for a request: %q", c.CommandPath(), line)
			}
		}
	}
}

// A page takes the place of a link, and leaves alone what the link led to. The
// umask of whoever installs it keeps nobody from reading it.
func TestAManPageIsANewFile(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := t.TempDir()
	letter, page := filepath.Join(dir, "letter"), filepath.Join(dir, "duewatch.1")
	if err := errors.Join(os.WriteFile(letter, []byte("dear reader"), 0o600), os.Symlink(letter, page)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if status := Run(t.Context(), []string{"man", dir}, &out, &out); status != 0 {
		t.Fatalf("status %d: %s", status, out.String())
	}
	if b, err := os.ReadFile(letter); err != nil || string(b) != "dear reader" {
		t.Errorf("the file behind the link says %.20q, %v", b, err)
	}
	if info, err := os.Lstat(page); err != nil || info.Mode() != 0o644 {
		t.Errorf("the page is %v, %v", info, err)
	}
}

// offered is what a shell is offered behind these words.
func offered(t *testing.T, args ...string) []string {
	t.Helper()
	var out bytes.Buffer
	if status := Run(t.Context(), append([]string{"__complete"}, args...), &out, new(bytes.Buffer)); status != 0 {
		t.Fatalf("status %d", status)
	}
	var all []string
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if begun := args[len(args)-1]; !strings.HasPrefix(word, ":") && strings.HasPrefix(word, begun) { // as the shell picks them
			all = append(all, word)
		}
	}
	return all
}

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("store: "+filepath.Join(dir, "dw.db")+"\nservices: [{id: \"17\", name: Water}, {id: \"18\", name: Rent}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), filepath.Join(dir, "dw.db"))
	if err != nil {
		t.Fatal(err)
	}
	var bills []reminder.Bill
	for _, account := range []string{"A-1", "A-2", "B-1"} {
		for _, service := range []string{"17", "18"} {
			bills = append(bills, reminder.Bill{Service: service, Account: account, Phone: "+254710000001"})
		}
	}
	if _, err := s.Import(t.Context(), store.SourceImport, bills, wallClock(), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"accounts", []string{"explain", "--config", config, ""}, []string{"A-1", "A-2", "B-1"}},
		{"accounts that begin so", []string{"pause", "--config", config, "A"}, []string{"A-1", "A-2"}},
		{"one account only", []string{"explain", "--config", config, "A-1", ""}, nil},
		{"no store", []string{"explain", "--config", filepath.Join(dir, "none.yaml"), ""}, nil},
		{"states", []string{"bills", "--state", "re"}, []string{"rejected", "removed"}},
		{"reasons", []string{"release", "--reason", "s"}, []string{"surge", "store_went_back", "sender_changed"}},
		{"held", []string{"bills", "--held", "mo"}, []string{"mode_off", "monthly_budget"}},
		{"groupings", []string{"report", "--by", "s"}, []string{"service", "stage"}},
		{"services", []string{"pause", "--config", config, "--service", ""}, []string{"17", "18"}},
		{"services of an opt-out", []string{"optout", "add", "--config", config, "--service", "17"}, []string{"17"}},
		{"shells", []string{"completion", ""}, []string{"bash", "zsh", "fish"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, offered(t, tt.args...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		if status := Run(t.Context(), []string{"completion", shell}, &out, &out); status != 0 || !strings.Contains(out.String(), "duewatch __complete") && !strings.Contains(out.String(), "__complete") {
			t.Errorf("%s: status %d: %.80s", shell, status, out.String())
		}
	}
	if status := Run(t.Context(), []string{"completion", "csh"}, new(bytes.Buffer), new(bytes.Buffer)); status != exitUsage {
		t.Errorf("an unknown shell ends with status %d", status)
	}
}

// At which call a command was interrupted is of no use to an operator.
func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("store: "+config+".db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), config+".db")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"bills"}, {"report"}, {"export"}, {"pause", "--service", "17", "--dry-run"}} {
		var printed bytes.Buffer
		status := Run(ctx, append(args, "--config", config), new(bytes.Buffer), &printed)
		if want := "duewatch: interrupted\n"; status != exitFailed || printed.String() != want {
			t.Errorf("%v: status %d, %q; want %q", args, status, printed.String(), want)
		}
	}
}

func TestBillsRefusesWhatNoBillCanBe(t *testing.T) {
	for flag, want := range map[string]string{"--state": "rejected", "--held": "daily_cap"} {
		var out, errs bytes.Buffer
		status := Run(t.Context(), []string{"bills", flag, "foo"}, &out, &errs)
		if status != exitUsage || !strings.Contains(errs.String(), flag+` "foo": write one of [`) || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d, %s", flag, status, errs.String())
		}
	}
}
