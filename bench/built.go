package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"duewatch/bench/gen"
)

// config writes a config for the built daemon, and returns its path.
func (b *bench) config(p params) (string, error) {
	file := filepath.Join(b.work, "config.yaml")
	return file, writeConfig(file, p)
}

// start is how long the built daemon takes until it says that it is ready.
func (b *bench) start(ctx context.Context) error {
	var took []float64
	err := b.both(ctx, func(path string, _ int) error {
		return b.served(ctx, func(url string) error {
			file, err := b.config(params{store: path, url: url, callers: 16})
			if err != nil {
				return err
			}
			if err := fingerprint(ctx, path, file); err != nil {
				return err
			}
			var seconds []float64
			for range b.size(3, 1) {
				s, err := b.untilReady(ctx, file)
				if err != nil {
					return err
				}
				seconds = append(seconds, s)
			}
			took = append(took, median(seconds))
			return nil
		})
	})
	if err != nil {
		return err
	}
	b.add(row{name: "start", what: "start to ready with 10M imported bills", against: "with 10k bills",
		ratio: took[1] / took[0], reach: "≤ 2, and ≤ 1 s", ok: took[1]/took[0] <= 2 && took[1] <= 1,
		note: fmt.Sprintf("%.3f s and %.3f s", took[1], took[0])})
	return nil
}

// untilReady starts the daemon as systemd does, waits for its word, and ends it.
func (b *bench) untilReady(ctx context.Context, config string) (seconds float64, err error) {
	socket := filepath.Join(b.work, "notify")
	defer os.Remove(socket) //nolint:errcheck // gone with the folder
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	defer l.Close()
	c := exec.CommandContext(ctx, b.daemon, "run", "--config", config)
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	var log strings.Builder
	c.Stderr = &log
	begin := time.Now()
	if err := c.Start(); err != nil {
		return 0, err
	}
	if err := l.SetReadDeadline(begin.Add(time.Minute)); err != nil {
		return 0, err
	}
	for word := make([]byte, 4096); seconds == 0 && err == nil; {
		var n int
		if n, err = l.Read(word); err == nil && strings.Contains(string(word[:n]), "READY=1") {
			seconds = time.Since(begin).Seconds()
		}
	}
	err = errors.Join(err, c.Process.Signal(syscall.SIGTERM), c.Wait())
	if err != nil {
		err = fmt.Errorf("start the daemon: %w: %s", err, log.String())
	}
	return seconds, err
}

// commands are those that an operator types and waits for. What follows the
// first byte is not waited for.
func (b *bench) commands(ctx context.Context) error {
	return b.both(ctx, func(path string, bills int) error {
		if path != b.manyPath() {
			return nil
		}
		file, err := b.config(params{store: path, callers: 16})
		if err != nil {
			return err
		}
		if err := fingerprint(ctx, path, file); err != nil { // preview need not plan all anew
			return err
		}
		middle := account(bills / 2)
		worst, which := 0.0, ""
		var notes []string
		for _, args := range [][]string{
			{"bills"}, {"bills", "--state", "rejected"}, {"explain", middle}, {"release"}, {"optout", "list"}, {"check"},
			{"report"}, {"preview", "--days", "1"}, {"export"}, {"check", "--bill", middle}, {"pause", middle, "--dry-run"},
			{"pause", "--service", "17", "--dry-run"}, {"retry", "--service", "17", "--dry-run"},
		} {
			var ms []float64
			for range b.size(3, 1) {
				t, err := b.firstByte(ctx, append(args, "--config", file))
				if err != nil {
					return err
				}
				ms = append(ms, t)
			}
			t := median(ms)
			notes = append(notes, fmt.Sprintf("%s %.0f", strings.Join(args, " "), t))
			if t > worst {
				worst, which = t, strings.Join(args, " ")
			}
		}
		b.add(row{name: "commands", what: "every operator command on 10M bills, first byte", against: which,
			ratio: worst, unit: "ms", reach: "≤ 200 ms", ok: worst <= 200, note: "ms: " + strings.Join(notes, ", ")})
		return nil
	})
}

// firstByte is after how many milliseconds a command says something, or ends. A
// command that fails is an error; one that has much to say is ended before.
func (b *bench) firstByte(ctx context.Context, args []string) (ms float64, err error) {
	const hearIt = 300 * time.Millisecond
	ctx, end := context.WithTimeout(ctx, 20*time.Second)
	defer end()
	c := exec.CommandContext(ctx, b.daemon, args...)
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	var log strings.Builder
	c.Stderr = &log
	begin := time.Now()
	if err := c.Start(); err != nil {
		return 0, err
	}
	_, err = out.Read(make([]byte, 1))
	ms = float64(time.Since(begin).Microseconds()) / 1000
	if err != nil && !errors.Is(err, io.EOF) { // at the end it had nothing to say
		return ms, err
	}
	stop := time.AfterFunc(hearIt, func() { _ = c.Process.Kill() })
	defer stop.Stop()
	_, _ = io.Copy(io.Discard, out)
	err = c.Wait()
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		err = ctx.Err() // nil when it was ended here, with more to say
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, log.String())
	}
	return ms, err
}

// imports compares an import of a file, with every check on, with SQLite's own.
func (b *bench) imports(ctx context.Context) error {
	n := b.size(1_000_000, 5000)
	file := filepath.Join(b.work, "bills.csv")
	if err := gen.CSV(file, n); err != nil {
		return err
	}
	plain, err := b.sqliteImport(ctx, file)
	if err != nil {
		return err
	}
	ours, err := b.ourImport(ctx, file)
	if err != nil {
		return err
	}
	b.add(row{name: "import", what: "import of 1M rows of CSV, every check on; rows/s",
		against: "sqlite3 .import of the same file into one indexed table", ratio: plain / ours,
		reach: "≥ 0.4", ok: plain/ours >= .4, note: fmt.Sprintf("%.0f rows/s", float64(n)/ours)})
	return nil
}

func (b *bench) sqliteImport(ctx context.Context, file string) (seconds float64, err error) {
	path := filepath.Join(b.work, "plain.db")
	defer os.Remove(path) //nolint:errcheck // gone with the folder
	c := exec.CommandContext(ctx, "sqlite3", path)
	c.Stdin = strings.NewReader(`CREATE TABLE bills (
	service TEXT, account TEXT, phone TEXT, description TEXT, language TEXT,
	PRIMARY KEY (service, account)
);
.import --csv --skip 1 ` + file + ` bills
`)
	begin := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("sqlite3: %w: %s", err, out)
	}
	return time.Since(begin).Seconds(), nil
}

func (b *bench) ourImport(ctx context.Context, file string) (seconds float64, err error) {
	path := filepath.Join(b.work, "import.db")
	if err := makeStore(ctx, path, 1); err != nil {
		return 0, err
	}
	return b.importInto(ctx, path, file)
}

// importInto is the built daemon's import into a store.
func (b *bench) importInto(ctx context.Context, path, file string) (seconds float64, err error) {
	config, err := b.config(params{store: path, callers: 16})
	if err != nil {
		return 0, err
	}
	c := exec.CommandContext(ctx, b.daemon, "import", file, "--config", config)
	begin := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("import: %w: %s", err, out)
	}
	return time.Since(begin).Seconds(), nil
}
