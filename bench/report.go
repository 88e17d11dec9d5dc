package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// report prints the table, and writes it into a page between its two marks.
func (b *bench) report(ctx context.Context, file string) error {
	var t strings.Builder
	fmt.Fprintf(&t, "Measured on %s in %.0f s: %s.\n\n", time.Now().UTC().Format(time.DateOnly), b.took.Seconds(), b.machine(ctx))
	fmt.Fprintln(&t, "| what | measured against, same run | reach | reached | figures |")
	fmt.Fprintln(&t, "|---|---|---|---|---|")
	for _, r := range b.rows {
		mark := "yes"
		if !r.ok {
			mark = "no"
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %s: **%s** | %s |\n", r.what, r.against, r.reach, mark, r.figure(), r.note)
	}
	fmt.Fprint(b.stdout, "\n", t.String())
	if file == "" || b.small {
		return nil
	}
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const from, to = "<!-- measured -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(string(page), from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the figures: the marks %q and %q", file, from, to)
	}
	return os.WriteFile(file, []byte(before+from+"\n"+t.String()+"\n"+to+after), 0o644)
}

// machine names the machine and the versions.
func (b *bench) machine(ctx context.Context) string {
	cpu := "an unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, after, ok := strings.Cut(string(text), "model name"); ok {
			cpu, _, _ = strings.Cut(strings.TrimLeft(after, "\t: "), "\n")
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _ := exec.CommandContext(ctx, b.daemon, "version").Output()
	return fmt.Sprintf("%d cores of %s, Linux %s, load %s at the end, %s, %s", runtime.NumCPU(), cpu, strings.TrimSpace(string(kernel)),
		strings.Join(strings.Fields(string(load))[:1], ""), runtime.Version(), strings.TrimSpace(string(version)))
}
