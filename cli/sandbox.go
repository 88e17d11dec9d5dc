package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
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
Callbacks are sent where a text asks for them, to addresses of this machine
alone, and POST /inbound sends the message of a customer.

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
	log := daemon.NewLog(a.stderr, config.Log{Level: slog.LevelInfo, Format: "text"}, zone)
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
	o.Guard = daemon.OnlyLocal(listen)
	s, err := sandbox.New(o)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w (%w)", listen, err, errUsage)
	}
	if addr, ok := l.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		err := fmt.Errorf("--listen %s: its pages ask for no password, so write a loopback address such as 127.0.0.1:8751 (%w)",
			listen, errUsage)
		return errors.Join(err, l.Close())
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
	return s.Serve(ctx, web.Limit(l, daemon.MaxSandboxConnections))
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
