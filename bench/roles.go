package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"duewatch/bench/gen"
	"duewatch/daemon"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
)

// A role is what a process of its own does: this program starts itself anew
// for each, so that each has CPU time and memory of its own. It prints what it took
// as one line of JSON.
type role func(ctx context.Context, p params, stdin io.Reader) (took, error)

var roles = map[string]role{
	"serve":       serve,
	"bare-texts":  bareTexts,
	"bare-almara": bareAlmara,
	"naive":       naive,
	"remind":      remindPass,
	"share":       shareRemind,
	"claims":      claims,
	"sweep":       sweepPass,
	"tick":        ticks,
	"idle":        idleHour,
	"year":        year,
	"callbacks":   postCallbacks,
}

// params are those of all roles; each takes the ones that it needs.
type params struct {
	url     string // of the stand-in
	store   string
	n       int
	callers int
	job     string
	rate    int    // segments a second; 0 = no limit
	apart   bool   // bills of one phone have texts of their own
	cpu     string // a file for a profile, "" for none
}

func (p params) args() []string {
	return []string{"-url", p.url, "-store", p.store, "-n", strconv.Itoa(p.n),
		"-callers", strconv.Itoa(p.callers), "-job", p.job, "-rate", strconv.Itoa(p.rate),
		"-apart=" + strconv.FormatBool(p.apart), "-cpu", p.cpu}
}

// took is what came of a role.
type took struct {
	N      int           `json:"n"`
	Wall   time.Duration `json:"wall"`
	CPU    time.Duration `json:"cpu"`  // of the process, user and system
	Peak   int64         `json:"peak"` // resident bytes at most
	Figure float64       `json:"figure,omitempty"`
	More   float64       `json:"more,omitempty"`
	// When the provider took the first text and the last one, in microseconds.
	First int64 `json:"first,omitempty"`
	Last  int64 `json:"last,omitempty"`
}

// rate is per second.
func (t took) rate() float64 { return float64(t.N) / t.Wall.Seconds() }

// play runs a role in this process.
func play(ctx context.Context, name string, args []string, stdin io.Reader, stdout io.Writer) error {
	var p params
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&p.url, "url", "", "")
	flags.StringVar(&p.store, "store", "", "")
	flags.IntVar(&p.n, "n", 0, "")
	flags.IntVar(&p.callers, "callers", 64, "")
	flags.StringVar(&p.job, "job", "", "")
	flags.IntVar(&p.rate, "rate", 0, "")
	flags.BoolVar(&p.apart, "apart", false, "")
	flags.StringVar(&p.cpu, "cpu", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t, err := roles[name](ctx, p, stdin)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	t.Peak = peak()
	return json.NewEncoder(stdout).Encode(t)
}

// timed is what do took.
func timed(p params, do func() error) (t took, err error) {
	stop, err := profile(p.cpu)
	if err != nil {
		return t, err
	}
	cpu, start := cpuTime(), time.Now()
	err = do()
	t.N, t.Wall, t.CPU = p.n, time.Since(start), cpuTime()-cpu
	return t, errors.Join(err, stop())
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that this process ever held, in bytes.
func peak() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// serve is the stand-in for Almara Pay and Twilio: the one of `duewatch
// sandbox`. It says where it is and ends with its standard input.
func serve(ctx context.Context, _ params, stdin io.Reader) (took, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s, err := sandbox.New(sandbox.Options{Zone: zone(), MaxTexts: 50_000})
	if err != nil {
		return took{}, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return took{}, err
	}
	if _, err := fmt.Fprintf(os.Stdout, "http://%s\n", l.Addr()); err != nil {
		return took{}, err
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		end()
	}()
	return took{}, s.Serve(ctx, l)
}

// callers calls do for 0 to n-1, some at a time.
func callers(p params, do func(i int) error) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		once  sync.Once
		first error
	)
	for range p.callers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < p.n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					once.Do(func() { first = err })
					return
				}
			}
		})
	}
	group.Wait()
	return first
}

// bareTexts is the ceiling of sending: the daemon's own twilio-go client in a
// loop, with nothing decided and nothing kept.
func bareTexts(ctx context.Context, p params, _ io.Reader) (took, error) {
	cfg, err := configFor(p)
	if err != nil {
		return took{}, err
	}
	n, err := daemon.Parts{}.NewNotifier(cfg)
	if err != nil {
		return took{}, err
	}
	send := func(i int) error {
		return accepted(n.Send(ctx, notifier.Message{To: reminder.Phone(gen.Phone(i + 1)), Validity: 9 * time.Hour,
			Body: "Hello Wanjiku Kamau, your Nairobi Water bill (account " + account(i+1) +
				") is due today, on 24 Nov 2026. Amount due: KES 1,250.50."}))
	}
	warm := p
	warm.n = p.callers
	if err := callers(warm, send); err != nil {
		return took{}, err
	}
	return timed(p, func() error { return callers(p, send) })
}

// account is the number of the n-th bill of a generated store.
func account(n int) string { return fmt.Sprintf("%010d", n*7) }

func accepted(r notifier.Result) error {
	if r.Outcome != notifier.Accepted {
		return fmt.Errorf("%s: %w", r.Outcome, r.Err)
	}
	return nil
}

// bareAlmara is the ceiling of a sweep: the daemon's own client in a loop.
func bareAlmara(ctx context.Context, p params, _ io.Reader) (took, error) {
	cfg, err := configFor(p)
	if err != nil {
		return took{}, err
	}
	c, err := daemon.Parts{Now: time.Now}.NewAlmara(cfg)
	if err != nil {
		return took{}, err
	}
	ask := func(i int) error {
		_, err := c.Register(ctx, reminder.Bill{ID: int64(i + 1), Service: "17", Account: account(i + 1),
			Phone: reminder.Phone(gen.Phone(i + 1)), Description: "House 7"})
		return err
	}
	warm := p
	warm.n = p.callers
	if err := callers(warm, ask); err != nil {
		return took{}, err
	}
	return timed(p, func() error { return callers(p, ask) })
}
