package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/web"
)

func (a *app) sandboxCommand() *cobra.Command {
	var listen, faults, state string
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the stand-ins for Almara Pay and Twilio alone",
		Long: `Serves a stand-in Almara Pay API and a stand-in Twilio Messaging API on one
address, with an inbox of the texts at /inbox. Nothing leaves this machine.

It keeps the latest million texts. With --state these are 5,000, as for run
--sandbox, and the file is written anew after each text: for a trial with
thousands of customers leave it out, since what Twilio would list is forgotten.

Faults are WHERE:WHAT rules separated by commas, such as
  send:drop-after:times=1      the next text is accepted, but the answer is lost
  register:status=503:rate=0.1 one registration in ten fails`,
		Example: "  duewatch sandbox --listen 127.0.0.1:8751 --faults send:drop-after:times=1",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			rules, err := sandbox.ParseFaults(faults)
			if err != nil {
				return fmt.Errorf("--faults: %w (%w)", err, errUsage)
			}
			return a.serveSandbox(c.Context(), listen, sandbox.Options{StateFile: state, Faults: rules})
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8751", "the address to listen on")
	c.Flags().StringVar(&faults, "faults", "", "rules for what goes wrong")
	c.Flags().StringVar(&state, "state", "", "a file that keeps bills and texts over restarts")
	return c
}

func (a *app) serveSandbox(ctx context.Context, listen string, o sandbox.Options) error {
	zone, err := time.LoadLocation("Africa/Nairobi")
	if err != nil {
		return fmt.Errorf("time zone: %w", err)
	}
	log := NewLog(a.stderr, config.Log{Level: slog.LevelInfo, Format: "text"}, zone)
	o.Zone, o.Now, o.Log, o.OnText = zone, a.now, log, showText(a.stderr)
	if o.StateFile != "" {
		// Tried now, and not when the first text would be lost. A new file, as each
		// save makes one: another of that name may be the user's, or a link to it.
		f, err := os.CreateTemp(filepath.Dir(o.StateFile), filepath.Base(o.StateFile)+".*.tmp")
		if err != nil {
			return fmt.Errorf("--state: %w", err)
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return fmt.Errorf("--state: %w", err)
		}
	}
	o.Guard = onlyLocal(listen)
	s, err := sandbox.New(o)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w (%w)", listen, err, errUsage)
	}
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("--listen %s: its pages ask for no password, so write a loopback address such as 127.0.0.1:8751 (%w)", listen, errUsage), l.Close())
	}
	base := "http://" + l.Addr().String()
	_, err = fmt.Fprintf(a.stdout, `# The sandbox is up; the inbox is at %[1]s/inbox
almara:
  base_url: %[1]s
  client_id: %[2]s
  client_secret: %[3]s
notifier:
  mode: live
  twilio:
    base_url: %[1]s
    account_sid: %[4]s
    auth_token: %[5]s
    from: %[6]s
reminders:
  window: "00:00-24:00"
  send_at: "00:00"
`, base, sandbox.ClientID, sandbox.ClientSecret, sandbox.AccountSID, sandbox.AuthToken, sandbox.From)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return s.Serve(ctx, web.Limit(l, mostSandboxed))
}

// mostSandboxed is how many connections the stand-ins have open at a time: above
// what a daemon makes at the highest concurrency that the config allows, of 256
// at either API.
const mostSandboxed = 1024

// onlyLocal keeps the stand-ins from whoever asks for another host. Their own
// pages show texts, and change what is owed, without a password.
func onlyLocal(listen string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return web.OnlyLocal(listen, next) }
}

// embedded is the sandbox inside the daemon.
type embedded struct {
	base    string
	samples []sandbox.Sample
}

// embedSandbox starts the stand-ins on a free port of loopback. What they know
// is kept beside the store, so that a restarted daemon meets the same world.
func (a *app) embedSandbox(ctx context.Context, cfg *config.Config, log *slog.Logger) (*embedded, error) {
	const listen = "127.0.0.1:0"
	s, err := sandbox.New(sandbox.Options{
		Zone: cfg.Zone, Now: a.now, Log: log, StateFile: cfg.Store + ".sandbox.json", OnText: showText(a.stdout), Guard: onlyLocal(listen),
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	e := a.sandboxed(cfg)
	e.base = "http://" + l.Addr().String()
	// It outlives the jobs: a text under way at the end still gets its answer.
	go func() {
		if err := s.Serve(context.WithoutCancel(ctx), web.Limit(l, mostSandboxed)); err != nil {
			log.Error("the sandbox failed", "err", err)
		}
	}()
	log.Info("the inbox is at " + e.base + "/inbox")
	log.Info("sandbox: endpoints, credentials, mode (live, into the inbox) and window (all day, from midnight) are the stand-ins'; nobody is texted",
		"sample_bills", len(e.samples))
	return e, nil
}

// sandboxed is a sandbox for the config: one that declares no bills gets the
// sample customers.
func (a *app) sandboxed(cfg *config.Config) *embedded {
	if len(cfg.Bills) > 0 {
		return &embedded{}
	}
	return &embedded{samples: sandbox.Samples(reminder.DateOf(a.now().In(cfg.Zone)))}
}

// swap puts the stand-ins in the place of the real endpoints.
func (e *embedded) swap(cfg *config.Config) {
	cfg.Almara.BaseURL = e.base
	cfg.Almara.ClientID, cfg.Almara.ClientSecret = sandbox.ClientID, config.Secret(sandbox.ClientSecret)
	t := &cfg.Notifier.Twilio
	t.BaseURL, t.AccountSID, t.AuthToken, t.From = e.base, sandbox.AccountSID, config.Secret(sandbox.AuthToken), sandbox.From
	t.APIKeySID, t.APIKeySecret, t.MessagingServiceSID = "", "", ""
	cfg.Delivery = reminder.Delivery{Mode: reminder.ModeLive}
	// From midnight on, or nothing would be due to whoever tries it at night.
	allDay := func(p *reminder.Policy) { p.Window, p.SendAt = reminder.Window{From: 0, To: 24 * 60}, 0 }
	allDay(cfg.Policies.Default)
	for _, p := range cfg.Policies.ByService {
		allDay(p)
	}
	for _, sample := range e.samples {
		cfg.Bills = append(cfg.Bills, config.Bill{
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

// showText prints each text as the phone would show it.
func showText(w io.Writer) func(sandbox.Text) {
	return func(t sandbox.Text) {
		const width = 46
		var b strings.Builder
		fmt.Fprintf(&b, "\n    ┌─ %s %s┐\n", t.To, strings.Repeat("─", max(width-len(t.To.String())-2, 0)))
		for _, line := range wrap(t.Body, width-1) {
			fmt.Fprintf(&b, "    │ %-*s│\n", width, line)
		}
		fmt.Fprintf(&b, "    └%s┘\n", strings.Repeat("─", width+1))
		_, _ = io.WriteString(w, b.String()+"\n")
	}
}

// wrap breaks a text into lines of at most width characters, at spaces.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
