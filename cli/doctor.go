package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/store"
)

// What a finding asks of the operator.
const (
	levelOK   = "ok"
	levelNote = "note" // good to know, nothing to do
	levelFix  = "fix"
)

// finding is one line of the doctor's.
type finding struct {
	Level string `json:"level"`
	Part  string `json:"part"`
	Text  string `json:"text"` // what is right, or what is wrong and what to do
}

// beginning is what stands before the text of a finding: its level, and its part.
func (f finding) beginning(s style) string {
	in := map[string]colour{levelOK: green, levelNote: yellow, levelFix: red}[f.Level]
	return s.marked(in, fmt.Sprintf("%-6s", f.Level)) + fmt.Sprintf("%-11s", f.Part)
}

// findings are those of one part.
type findings []finding

// add adds one and returns them all.
func (f *findings) add(level, part, format string, args ...any) findings {
	*f = append(*f, finding{level, part, fmt.Sprintf(format, args...)})
	return *f
}

// found is a part of which there is one thing to say, or the first of several.
func found(level, part, format string, args ...any) findings {
	return new(findings).add(level, part, format, args...)
}

// Bounds of one part: an answer that takes longer is none, and a large store is
// not read to its end, nor is any on a disk that is too busy.
const (
	askPatience   = 10 * time.Second
	storePatience = 5 * time.Second
	readWhole     = 128 << 20 // bytes, for a second's work
)

// doctor checks all that a daemon with this config needs.
type doctor struct {
	app        *app
	cfg        *config.Config
	secrets    string // which of the service were found; "" = none
	sandboxed  bool
	testAlerts bool // send a test to each URL of alerts:
	clocks     *clocks
	store      *store.Store // nil where it cannot be opened
	storeErr   error
}

func (a *app) doctorCommand() *cobra.Command {
	var useSandbox, testAlerts, asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Try all that the daemon needs, and say what to do",
		Long: `Signs in at Almara Pay, looks up one bill and compares the services, asks Twilio
for the account and the sender, and checks the clock, the hours, the store, the
disk and the systemd unit. Nobody is texted and nothing is changed. Each line
begins with ok, note (good to know) or fix, which makes the status 1. As root it
takes the secrets of the service, for a config in /etc/duewatch.

--alerts also sends a test message to each URL of alerts.urls, and calls
alerts.heartbeat_url once.`,
		Example: "  sudo duewatch doctor\n  duewatch doctor --sandbox",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, secrets, err := a.loadAsService(useSandbox)
			if wrong := (*config.Error)(nil); asJSON && errors.As(err, &wrong) {
				var all []finding
				for _, p := range wrong.Problems {
					all = append(all, finding{levelFix, "config", p.String()})
				}
				return errors.Join(a.encodeFindings(all, false), err)
			}
			if err != nil {
				return err
			}
			if useSandbox {
				if err := a.startStandIns(c.Context(), cfg); err != nil {
					return err
				}
			}
			d := &doctor{app: a, cfg: cfg, secrets: secrets, sandboxed: useSandbox, testAlerts: testAlerts}
			return d.examine(c.Context(), asJSON)
		},
	}
	c.Flags().BoolVar(&useSandbox, "sandbox", false, "try the stand-ins for Almara Pay and Twilio")
	c.Flags().BoolVar(&testAlerts, "alerts", false, "send a test to each URL of alerts:")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// examine checks all parts side by side, and prints each for people in order, as soon
// as it is known.
func (d *doctor) examine(ctx context.Context, asJSON bool) (err error) {
	a := d.app
	d.clocks = &clocks{now: a.now}
	if d.store, d.storeErr = store.OpenReader(ctx, d.cfg.StoreAddress()); d.storeErr == nil {
		defer func() { err = errors.Join(err, d.store.Close()) }()
	}
	parts := []func(context.Context) []finding{
		d.mode, d.hours, d.almara, d.twilio, d.theStore, d.verified, d.sending, d.disk, d.unit, d.alerts,
	}
	results := make([]chan []finding, len(parts))
	for i, part := range parts {
		results[i] = make(chan []finding, 1)
		go func() { results[i] <- part(ctx) }()
	}
	var findings []finding
	fixes := 0
	report := func(part []finding) {
		for _, f := range part {
			findings = append(findings, f)
			if f.Level == levelFix {
				fixes++
			}
			if !asJSON && ctx.Err() == nil { // else it is no finding
				a.printWrapped(f.beginning(styleOf(a.stdout)), f.Text)
			}
		}
	}
	for _, r := range results {
		report(<-r)
	}
	report(d.clock()) // by the answers of the others
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	if asJSON {
		err = a.encodeFindings(findings, fixes == 0)
	}
	if err == nil && fixes > 0 {
		err = fmt.Errorf("to be fixed: %s", countOf(fixes, "thing"))
	}
	return err
}

func (a *app) encodeFindings(all []finding, ok bool) error {
	return json.NewEncoder(a.stdout).Encode(struct {
		OK       bool      `json:"ok"`
		Findings []finding `json:"findings"`
	}{ok, all})
}

func (d *doctor) mode(context.Context) []finding {
	said := found(levelOK, "config", "%s is right", d.app.configPath)
	if d.secrets != "" {
		said.add(levelOK, "secrets", "%s", d.secrets)
	}
	if d.sandboxed {
		return said.add(levelNote, "mode", "the sandbox: endpoints, credentials and hours are the stand-ins'")
	}
	switch mode := d.cfg.Delivery.Mode; mode {
	case "live":
		return said.add(levelOK, "mode", "live: texts go to the customers")
	case "off":
		return said.add(levelNote, "mode", "off: nobody is texted until notifier.mode is changed")
	default:
		return said.add(levelNote, "mode", "%s: not every customer is texted", mode)
	}
}

// hours says whether texts may leave now, for the default policy and for each
// service that differs.
func (d *doctor) hours(context.Context) []finding {
	zone, now := d.cfg.Zone, d.app.now()
	say := func(service string) string {
		p := d.cfg.Policies.For(service)
		hours := "texts leave " + p.Window.String()
		switch next := p.NextOpen(now); {
		case next.Equal(now):
			return hours + ", and may now"
		case next.IsZero():
			return hours + ", but on no day of the coming year"
		default:
			return hours + "; the next time on " + next.In(zone).Format("Mon 2 Jan 15:04")
		}
	}
	usual := say("")
	out := found(levelOK, "hours", "it is %s in %s; %s", now.In(zone).Format("Mon 2 Jan 15:04"), zone, usual)
	for _, s := range d.cfg.Services {
		if own := say(s.ID); own != usual {
			out.add(levelOK, "hours", "service %s: %s", s.ID, own)
		}
	}
	return out
}

// reason is an error in one line, without what only says who asked.
func reason(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	for _, prefix := range []string{"almara: ", "notifier: ", "almara pay: ", "twilio account: ", "twilio numbers: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
