package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/scheduler"
	"duewatch/store"
)

// factNow is when a generated store was made: the hour at which its clock begins.
const factNow = "bench_now"

func zone() *time.Location {
	z, err := time.LoadLocation("Africa/Nairobi")
	if err != nil {
		return time.FixedZone("EAT", 3*3600)
	}
	return z
}

// morning is the hour at which reminders leave, today.
func morning() time.Time { return reminder.DateOf(time.Now().In(zone())).At(9*60, zone()) }

// configFor is the config of an operator whose rates are no limit.
func configFor(p params) (*config.Config, error) {
	dir, err := os.MkdirTemp("", "duewatch-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	file := filepath.Join(dir, "config.yaml")
	if err := writeConfig(file, p); err != nil {
		return nil, err
	}
	return config.Load(file, config.Options{Environ: []string{}})
}

func writeConfig(file string, p params) error {
	return os.WriteFile(file, fmt.Appendf(nil, `store: %[1]s
almara:
  base_url: %[2]s
  client_id: %[3]s
  client_secret: %[4]s
  rate: 100000
  concurrency: %[8]d
notifier:
  mode: live
  segments_per_second: %[9]d
  concurrency: %[8]d
  twilio: {base_url: "%[2]s", account_sid: %[5]s, auth_token: %[6]s, from: %[7]s}
services:
  - {id: "17", name: Nairobi Water}
reminders: {bundle: %[10]t}
web: {listen: "127.0.0.1:0"}
log: {format: json}
`, cmp.Or(p.store, "bench.db"), cmp.Or(p.url, "http://127.0.0.1:1"), sandbox.ClientID, sandbox.ClientSecret,
		sandbox.AccountSID, sandbox.AuthToken, sandbox.From, p.callers, cmp.Or(p.rate, 100_000), !p.apart), 0o600)
}

// benchDaemon is the daemon's own parts, built as the daemon builds them, on a
// clock that begins when the store was made.
type benchDaemon struct {
	*scheduler.Scheduler
	store  *store.Store
	cfg    *config.Config
	ahead  atomic.Int64 // of the wall clock
	texts  atomic.Int64 // that the provider took
	almara atomic.Int64 // answers

	// When the provider took the first and the last text, in microseconds.
	first, last atomic.Int64
}

func (d *benchDaemon) now() time.Time { return time.Now().Round(0).Add(time.Duration(d.ahead.Load())) }

func newDaemon(ctx context.Context, p params) (_ *benchDaemon, err error) {
	daemon.SetGCPercent(daemon.GCPercent)
	d := &benchDaemon{}
	if d.cfg, err = configFor(p); err != nil {
		return nil, err
	}
	if d.store, err = store.Open(ctx, p.store); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.store.Close())
		}
	}()
	begin, err := beginOf(ctx, d.store)
	if err != nil {
		return nil, err
	}
	d.ahead.Store(int64(time.Until(begin.Add(30 * time.Second))))

	metrics := scheduler.NewMetrics(prometheus.NewRegistry())
	// The log is written as the daemon writes it, to wherever our standard error goes.
	log := daemon.NewLog(os.Stderr, d.cfg.Log, d.cfg.Zone)
	d.Scheduler, err = daemon.Parts{
		Store: d.store, Owner: cmp.Or(d.store.Owner(), "bench"), Sender: "bench", Log: log, Metrics: metrics, Now: d.now,
		OnTwilio: func(op, outcome string, took time.Duration) {
			metrics.Call("twilio", op, outcome, took)
			if op == "send" && outcome == string(notifier.Accepted) {
				now := time.Now().UnixMicro()
				d.first.CompareAndSwap(0, now)
				d.last.Store(now)
				d.texts.Add(1)
			}
		},
		OnAlmara: func(op, outcome string, took time.Duration) {
			metrics.Call("almara", op, outcome, took)
			if op != "token" && outcome == "ok" {
				d.almara.Add(1)
			}
		},
	}.Build(d.cfg)
	return d, err
}

// beginOf is the hour at which the clock of a generated store begins.
func beginOf(ctx context.Context, s *store.Store) (time.Time, error) {
	made, err := s.Meta(ctx, factNow)
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(made, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the store was not made by this program: %w", err)
	}
	return time.UnixMilli(ms), nil
}

// with builds a daemon, does something with it, and closes its store.
func with(ctx context.Context, p params, do func(*benchDaemon) (took, error)) (t took, err error) {
	d, err := newDaemon(ctx, p)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, d.store.Close()) }()
	return do(d)
}

// remindPass is one pass of the remind job over p.n bills that are due.
func remindPass(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (took, error) {
		t, err := timed(p, func() error { return d.Pass(ctx, "remind") })
		if err != nil {
			return t, err
		}
		doubt, err := d.store.InDoubt(ctx)
		if sent := int(d.texts.Load()); err == nil && (sent != p.n || doubt.Texts != 0) {
			err = fmt.Errorf("%d of %d texts were accepted, %d are in doubt", sent, p.n, doubt.Texts)
		}
		return t, err
	})
}

// naive is the usual way to send: one commit for each intent, then the POST,
// one commit for each outcome, one text after another. It uses the store's own
// methods, so that all else is equal.
func naive(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (took, error) {
		n, err := daemon.Parts{}.NewNotifier(d.cfg)
		if err != nil {
			return took{}, err
		}
		return timed(p, func() error {
			for range p.n {
				now := d.now()
				round, err := d.store.DecideDue(ctx, store.Round{Now: now, Policies: d.cfg.Policies, Delivery: d.cfg.Delivery,
					Claim: store.Claim{Owner: "bench", Lease: time.Hour}}, 1)
				if err != nil {
					return err
				}
				if len(round.Texts) != 1 {
					return fmt.Errorf("%d texts of one bill", len(round.Texts))
				}
				t := round.Texts[0]
				r := n.Send(ctx, notifier.Message{To: t.To, Body: t.Body, Validity: time.Hour})
				if err := accepted(r); err != nil {
					return err
				}
				err = d.store.RecordOutcome(now, store.SendOutcome{TextID: t.ID, State: store.Accepted,
					ProviderID: r.SID, ProviderStatus: r.Status, NextPollAt: now.Add(time.Minute)})
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// sweepPass is one pass of register or recheck over p.n bills.
func sweepPass(ctx context.Context, p params, _ io.Reader) (took, error) {
	return with(ctx, p, func(d *benchDaemon) (took, error) {
		t, err := timed(p, func() error { return d.Pass(ctx, p.job) })
		if got := int(d.almara.Load()); err == nil && got != p.n {
			err = fmt.Errorf("%d answers for %d bills", got, p.n)
		}
		return t, err
	})
}

// profile writes a CPU profile until the returned function is called.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
