package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// play runs a role in a process of its own, with some variables added to its
// environment.
func (b *bench) play(ctx context.Context, name string, p params, environ ...string) (t took, err error) {
	if b.profiles != "" {
		p.cpu = filepath.Join(b.profiles, name+p.job+".prof")
	}
	c := exec.CommandContext(ctx, b.self, append([]string{name}, p.args()...)...)
	c.Env = append(os.Environ(), environ...)
	log, err := os.Create(filepath.Join(b.work, "log"))
	if err != nil {
		return t, err
	}
	defer log.Close()
	c.Stderr = log
	out, err := c.Output()
	if err != nil {
		return t, fmt.Errorf("%s: %w: %s", name, err, tail(log.Name()))
	}
	err = json.Unmarshal(out, &t)
	return t, err
}

// tail is the end of a log, where the failure is.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// served runs do beside a stand-in of its own, at url, so that each run meets
// the same fresh one.
func (b *bench) served(ctx context.Context, do func(url string) error) (err error) {
	c := exec.CommandContext(ctx, b.self, "serve")
	c.Stderr = b.stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(stdout)
	url, err := lines.ReadString('\n')
	if err == nil {
		err = do(strings.TrimSpace(url))
	}
	_ = stdin.Close() // it ends with its standard input
	_, _ = io.Copy(io.Discard, lines)
	return errors.Join(err, c.Wait())
}
