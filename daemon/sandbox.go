package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
	"duewatch/web"
)

// Which world a store belongs to, from its first start on: what was texted in one
// is no text in the other.
const (
	WorldSandbox = "sandbox"
	WorldReal    = "real"

	metaWorld = "world"
)

// World is the world that a store belongs to, "" before its first start.
func World(ctx context.Context, s *store.Store) (string, error) { return s.Meta(ctx, metaWorld) }

// claimWorld makes the store one of this daemon's world, and refuses one of the
// other.
func (d *daemon) claimWorld(ctx context.Context, path string) error {
	want, advice := WorldReal, "it was made with --sandbox: name another one in store"
	if d.Sandbox {
		want, advice = WorldSandbox, "it belongs to the real daemon: name another one, as in DUEWATCH_STORE=sandbox.db duewatch run --sandbox"
	}
	have, err := World(ctx, d.store)
	switch {
	case err != nil:
		return err
	case have == "":
		return d.store.SetMeta(metaWorld, want)
	case have != want:
		return fmt.Errorf("the store %s cannot be used here: %s", path, advice)
	}
	return nil
}

// StandIns take the place of Almara Pay and Twilio in a config.
type StandIns struct {
	URL     string           // "" = they do not run in this process
	samples []sandbox.Sample // the bills of a config that names none
}

// StandInsFor are stand-ins that do not run: what a command needs to read a store
// of the sandbox as its daemon does.
func StandInsFor(cfg *config.Config, now time.Time) *StandIns {
	return &StandIns{samples: sandbox.Samples(reminder.DateOf(now.In(cfg.Zone)))}
}

// SamplesFor are the sample bills that a config gets: none when it names bills of its
// own, also after a reload.
func (i *StandIns) SamplesFor(cfg *config.Config) []sandbox.Sample {
	if len(cfg.Bills) > 0 {
		return nil
	}
	return i.samples
}

// StartStandIns starts the stand-ins on a free port of loopback. What they know
// is kept in a file (Config.SandboxState), so that a restarted daemon meets the same world.
func StartStandIns(
	ctx context.Context, cfg *config.Config, now func() time.Time, onText func(sandbox.Text), log *slog.Logger,
) (*StandIns, error) {
	const listen = "127.0.0.1:0"
	s, err := sandbox.New(sandbox.Options{
		Zone: cfg.Zone, Now: now, Log: log, StateFile: cfg.SandboxState(), OnText: onText, Guard: OnlyLocal(listen),
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	standIns := StandInsFor(cfg, now())
	standIns.URL = "http://" + l.Addr().String()
	// They outlive the jobs: a text under way at the end still gets its answer.
	go func() {
		if err := s.Serve(context.WithoutCancel(ctx), web.Limit(l, MaxSandboxConnections)); err != nil {
			log.Error("the sandbox failed", "err", err)
		}
	}()
	log.Info("the inbox is at " + standIns.URL + "/inbox")
	log.Info("sandbox: endpoints, credentials, mode (live, into the inbox) and window (all day, from midnight) are the stand-ins'; " +
		"nobody is texted")
	return standIns, nil
}

// MaxSandboxConnections is how many connections the stand-ins have open at a time:
// above what a daemon makes at the highest concurrency that the config allows, of
// 256 at either API.
const MaxSandboxConnections = 1024

// OnlyLocal keeps the stand-ins from whoever asks for another host. Their own
// pages show texts, and change what is owed, without a password.
func OnlyLocal(listen string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return web.OnlyLocal(listen, next) }
}

// ReplaceIn puts the stand-ins in the place of the real endpoints.
func (i *StandIns) ReplaceIn(cfg *config.Config) {
	cfg.Almara.BaseURL = i.URL
	cfg.Almara.ClientID, cfg.Almara.ClientSecret = sandbox.ClientID, config.Secret(sandbox.ClientSecret)
	t := &cfg.Notifier.Twilio
	t.BaseURL, t.AccountSID, t.AuthToken, t.From = i.URL, sandbox.AccountSID, config.Secret(sandbox.AuthToken), sandbox.From
	t.APIKeySID, t.APIKeySecret, t.MessagingServiceSID = "", "", ""
	cfg.Delivery = reminder.Delivery{Mode: reminder.ModeLive}
	// From midnight on, or nothing would be due to whoever tries it at night.
	allDay := func(p *reminder.Policy) { p.Window, p.SendAt = reminder.Window{From: 0, To: 24 * 60}, 0 }
	allDay(cfg.Policies.Default)
	for _, p := range cfg.Policies.ByService {
		allDay(p)
	}
	for _, sample := range i.SamplesFor(cfg) {
		cfg.Bills = append(cfg.Bills, reminder.Bill{
			Service: sample.Service, Account: sample.Account, Phone: sample.Phone, Description: sample.Description, Language: sample.Language,
		})
		if _, ok := cfg.Policies.ByService[sample.Service]; !ok {
			p := *cfg.Policies.Default
			p.ServiceName = sample.ServiceName
			if cfg.Policies.ByService == nil {
				cfg.Policies.ByService = map[string]*reminder.Policy{}
			}
			cfg.Policies.ByService[sample.Service] = &p
		}
	}
}
