package cli

import (
	"github.com/spf13/cobra"

	"duewatch/daemon"
)

func (a *app) runCommand() *cobra.Command {
	var useSandbox bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Runs the daemon until SIGINT or SIGTERM: texts that are being handed over are
finished and recorded, no new ones begin. SIGHUP reads the config again and
takes it only if all of it is right.

--sandbox runs the same daemon against stand-ins for Almara Pay and Twilio on
this machine: no account is needed, and nobody is texted.`,
		Example: "  duewatch run --config /etc/duewatch/config.yaml\n  duewatch run --sandbox",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return daemon.Run(c.Context(), daemon.Options{
				ConfigPath: a.configPath, Version: version(), Release: release,
				Sandbox: useSandbox, OnText: showText(a.stdout), LogTo: a.stderr, Now: a.now,
			})
		},
	}
	c.Flags().BoolVar(&useSandbox, "sandbox", false, "use the stand-ins for Almara Pay and Twilio")
	return c
}
