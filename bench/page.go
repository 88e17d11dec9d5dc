package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"duewatch/bench/gen"
)

// How the page is measured: as many clients as would be a crowd, beside a common rate.
const (
	pageClients = 200
	pageRate    = 100 // segments a second
)

// page is what the page costs: how soon it is there with many bills, and what it takes from
// the sending of texts when a crowd looks at it.
func (b *bench) page(ctx context.Context) error {
	if err := b.pageFirstByte(ctx); err != nil {
		return err
	}
	n := b.size(2000, 200)
	var ratios, rates, pages []float64
	for range b.size(3, 1) {
		alone, _, err := b.sendBeside(ctx, n, 0)
		if err != nil {
			return err
		}
		crowded, seen, err := b.sendBeside(ctx, n, pageClients)
		if err != nil {
			return err
		}
		ratios, rates, pages = append(ratios, crowded/alone), append(rates, crowded), append(pages, seen)
		fmt.Fprintf(b.stderr, "   alone %.1f/s, beside %d clients %.1f/s and %.0f pages/s\n", alone, pageClients, crowded, seen)
	}
	b.add(row{name: "page/crowd", what: "sending at 100 segments/s while 200 clients load the page as fast as they can",
		against: "with nobody looking", ratio: median(ratios), reach: "≥ 0.97", ok: median(ratios) >= .97,
		note: fmt.Sprintf("%.1f segments/s, %.0f pages/s", median(rates), median(pages))})
	return nil
}

// pageConfig is a config for the built daemon that sends at any hour.
func (b *bench) pageConfig(p params, rate int) (string, error) {
	file, err := b.config(p)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	changed := strings.Replace(string(text), "segments_per_second: 100000", "segments_per_second: "+strconv.Itoa(rate), 1) +
		"reminders: {window: \"00:00-24:00\", send_at: \"00:00\"}\n"
	return file, os.WriteFile(file, []byte(changed), 0o600)
}

// running is a daemon as it is built, with the address of its page.
type running struct {
	url string
	cmd *exec.Cmd
}

var pageAddress = regexp.MustCompile(`the page is at (http://[^" ]+)`)

// whileRunning calls do beside the built daemon, and ends it.
func (b *bench) whileRunning(ctx context.Context, config string, do func(running) error) (err error) {
	c := exec.CommandContext(ctx, b.daemon, "run", "--config", config)
	log, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	defer func() {
		ended := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait())
		if err = errors.Join(err, ended); err != nil {
			err = fmt.Errorf("the daemon: %w", err)
		}
	}()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if at := pageAddress.FindStringSubmatch(lines.Text()); at != nil {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return do(running{at[1], c})
		}
	}
	return errors.New("it does not say where its page is")
}

// look loads the page once, and says after how long its first byte came.
func (r running) look(ctx context.Context, client *http.Client) (first time.Duration, err error) {
	began := time.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Since(began) }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // only read from
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the page answers %s", answer.Status)
	}
	return first, nil
}

// cpu is what the process has taken, user and system.
func (r running) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc says %q", stat)
	}
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err, err2) // ticks of a hundredth of a second
}

// pageFirstByte loads the page of a daemon with many bills, from its start on, while what it
// shows is counted. Each load comes so long after the one before that the page is made anew.
func (b *bench) pageFirstByte(ctx context.Context) error {
	return b.both(ctx, func(path string, bills int) error {
		if path != b.manyPath() {
			return nil
		}
		return b.served(ctx, func(url string) error {
			file, err := b.pageConfig(params{store: path, url: url, callers: 16}, pageRate)
			if err != nil {
				return err
			}
			if err := fingerprint(ctx, path, file); err != nil {
				return err
			}
			return b.whileRunning(ctx, file, func(r running) error {
				client := &http.Client{Timeout: time.Minute}
				var ms []float64
				var share float64
				loads := b.size(20, 3)
				for i := range loads {
					first, err := r.look(ctx, client)
					if err != nil {
						return err
					}
					ms = append(ms, float64(first.Microseconds())/1000)
					before, err := r.cpu()
					if err != nil {
						return err
					}
					pause(ctx, 3*time.Second)
					after, err := r.cpu()
					if err != nil {
						return err
					}
					if i >= loads/4 { // the jobs' first passes are over
						share += 100 * (after - before).Seconds() / 3 / float64(loads-loads/4)
					}
				}
				worst := slices.Max(ms)
				b.add(row{name: "page", what: "the page on 10M bills, first byte, the worst of those from the start on", against: "200 ms",
					ratio: worst, unit: "ms", reach: "≤ 200 ms", ok: worst <= 200,
					note: fmt.Sprintf("%d bills, the first %.0f ms, median %.0f ms of %d", bills, ms[0], median(ms), len(ms))})
				b.add(row{name: "page/counting", what: "CPU of the daemon while its page is counted for somebody who looks", against: "a core",
					ratio: share, unit: "%", reach: "≤ 9 %", ok: share <= 9,
					note: "5 % for the days to come, 2 % for today, 2 % for the month"})
				return nil
			})
		})
	})
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sendBeside is at which rate the built daemon sends n texts, while so many clients load the
// page all the time; and how many pages they get in a second. The first tenth of the texts
// and the last do not count.
func (b *bench) sendBeside(ctx context.Context, n, clients int) (rate, pages float64, err error) {
	path := filepath.Join(b.work, "page.db")
	now := time.Now().In(zone())
	if err := fillStore(ctx, gen.Order{Path: path, Bills: n, Seed: 1, Now: now}); err != nil {
		return 0, 0, err
	}
	if err := gen.MakeDue(ctx, path, gen.Due{From: 1, Step: 1, N: n, At: now}); err != nil {
		return 0, 0, err
	}
	err = b.served(ctx, func(url string) error {
		file, err := b.pageConfig(params{store: path, url: url, callers: 16}, pageRate)
		if err != nil {
			return err
		}
		if err := fingerprint(ctx, path, file); err != nil {
			return err
		}
		return b.whileRunning(ctx, file, func(r running) error {
			ctx, end := context.WithTimeout(ctx, 5*time.Minute)
			var crowd sync.WaitGroup
			defer crowd.Wait()
			defer end()
			var seen atomic.Int64
			for range clients {
				crowd.Go(func() {
					client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
					for ctx.Err() == nil {
						if _, err := r.look(ctx, client); err == nil {
							seen.Add(1)
						}
					}
				})
			}
			began := time.Now()
			for {
				at, err := gen.AcceptedAt(ctx, path)
				if err != nil {
					return err
				}
				if len(at) >= n {
					first, last := n/10, n-n/10-1
					rate = float64(last-first) / (float64(at[last]-at[first]) / 1000)
					pages = float64(seen.Load()) / time.Since(began).Seconds()
					return nil
				}
				pause(ctx, 500*time.Millisecond)
				if ctx.Err() != nil {
					return fmt.Errorf("%d of %d texts were sent: %w", len(at), n, ctx.Err())
				}
			}
		})
	})
	return rate, pages, err
}
