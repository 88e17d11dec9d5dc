// Command bench shows what duewatch costs, as ratios against a ceiling that is
// measured beside it in the same run: see docs/performance.md, which it
// writes, and `make bench`.
//
// It drives the daemon's own packages, and starts the stand-ins, the ceilings
// and what is measured as processes of their own, on loopback only. Runs of
// the two sides alternate, and what is compared are their medians: the machine
// may have other things to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // as in the daemon
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 && roles[args[0]] != nil {
		return play(ctx, args[0], args[1:], stdin, stdout)
	}
	b := &bench{stdout: stdout, stderr: stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "parts to run, with commas between; all else")
	write := flags.String("write", "", "the page to write the figures to")
	makeStores := flags.Bool("stores", false, "make the large stores and end")
	cluster := flags.Bool("cluster", false, "show several daemons on one PostgreSQL server, of which one is killed, and end")
	flags.BoolVar(&b.small, "small", false, "few of everything: does it run at all?")
	flags.StringVar(&b.stores, "dir", ".bench", "where the large stores are kept")
	flags.StringVar(&b.daemon, "daemon", "./duewatch", "the built daemon")
	flags.StringVar(&b.profiles, "profiles", "", "a folder for CPU profiles of what is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("there is no role %q; parts are chosen by -only", flags.Arg(0))
	}
	if *cluster {
		return b.showCluster(ctx)
	}
	return b.run(ctx, *only, *write, *makeStores)
}

// bench is one run of some parts.
type bench struct {
	stdout, stderr io.Writer
	self, daemon   string // this program, and the daemon as built
	small          bool
	stores         string // folder of the large stores
	work           string // folder of this run
	profiles       string
	rows           []row
	took           time.Duration // by all parts
}

// row is one line of the table.
type row struct {
	name    string  // part/row, as in the last line of a part
	what    string  // is measured
	against string  // what
	ratio   float64 // or a figure with unit
	unit    string  // "" for a ratio, which is printed with its sign
	reach   string
	ok      bool
	note    string // the figures behind it
}

// part measures some rows.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

func parts() []part {
	return []part{
		{"remind", (*bench).remind},
		{"slowdisk", (*bench).slowDisk},
		{"callbacks", (*bench).callbacks},
		{"sweeps", (*bench).sweeps},
		{"import", (*bench).imports},
		{"simulate", (*bench).simulate},
		{"year", (*bench).yearOfHistory},
		{"idle", (*bench).idle},
		{"start", (*bench).start},
		{"commands", (*bench).commands},
		{"page", (*bench).page},
		{"scale", (*bench).scale},
		{"postgres", (*bench).postgres},
	}
}

func (b *bench) run(ctx context.Context, only, write string, makeStores bool) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.daemon, err = filepath.Abs(b.daemon); err != nil {
		return err
	}
	if err := os.MkdirAll(b.stores, 0o700); err != nil {
		return err
	}
	if b.work, err = os.MkdirTemp(b.stores, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.work)) }()
	if makeStores {
		return b.makeStores(ctx)
	}
	chosen := strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range chosen {
		if !slices.ContainsFunc(parts(), func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	var seconds []string
	for _, p := range parts() {
		if len(chosen) > 0 && !slices.Contains(chosen, p.name) {
			continue
		}
		begin, from := time.Now(), len(b.rows)
		fmt.Fprintf(b.stderr, "== %s\n", p.name)
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, r := range b.rows[from:] {
			fmt.Fprintf(b.stdout, "%s: %s of %s\n", r.name, r.figure(), r.against)
		}
		took := time.Since(begin)
		b.took += took
		seconds = append(seconds, fmt.Sprintf("%s %.0f", p.name, took.Seconds()))
		fmt.Fprintf(b.stderr, "   %.0f s\n", took.Seconds())
	}
	fmt.Fprintf(b.stderr, "== %.0f s in all: %s\n", b.took.Seconds(), strings.Join(seconds, ", "))
	if len(chosen) == 0 || write != "" {
		return b.report(ctx, write)
	}
	return nil
}

// add notes a row and says it at once.
func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	fmt.Fprintf(b.stderr, "   %s: %s (reach %s) %s\n", r.name, r.figure(), r.reach, r.note)
}

func (r row) figure() string {
	if r.unit != "" {
		return fmt.Sprintf("%.3g %s", r.ratio, r.unit)
	}
	return fmt.Sprintf("%.2f", r.ratio)
}

// size is n, or few of them in a small run.
func (b *bench) size(n, few int) int {
	if b.small {
		return few
	}
	return n
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
