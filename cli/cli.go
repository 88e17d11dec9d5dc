// Package cli is duewatch's command line: one file or family of files for
// each command, found by its name. It holds no rule of its own about who is texted when.
//
// Output for people and programs goes to stdout, the log and errors to stderr.
// The exit status is 0 when a command did what it says, 1 when it failed, and
// 2 when the command line or the config is wrong, which a restart cannot mend.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"duewatch/config"
	"duewatch/store"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks a command line that cannot be understood.
var errUsage = errors.New("see --help")

// errInterrupted ends a command that left nothing behind.
var errInterrupted = errors.New("interrupted")

// app is what the commands share.
type app struct {
	stdout, stderr io.Writer
	configPath     string
	now            func() time.Time
}

// Run runs one command and returns the exit status. The first SIGINT or SIGTERM
// ends it in good order, a second one at once.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		stop()
		<-signals
		fmt.Fprintln(stderr, "duewatch: a second signal: ending at once")
		exit(exitFailed)
	}()

	a := &app{stdout: stdout, stderr: stderr, now: wallClock}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)

	var wrong *config.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, wrong)
		return exitUsage
	case errors.Is(err, errUsage), store.IsUnusable(err):
		printError(stderr, err)
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		printError(stderr, errInterrupted) // at which call it was interrupted is of no use to an operator
		return exitFailed
	default:
		printError(stderr, err)
		return exitFailed
	}
}

// wallClock is the time without Go's monotonic reading, which stands still
// while a machine is suspended: what was decided before is old afterwards.
func wallClock() time.Time { return time.Now().Round(0) }

// exit ends the process in the middle of things.
var exit = os.Exit //nolint:forbidigo // what a second signal asks for

// printError prints an error, each of its lines as one of ours.
func printError(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w, "duewatch:", strings.TrimSuffix(line, "\n"))
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "duewatch",
		Short: "Texts people before their bills are due, once, and only while something is owed",
		Long: `duewatch registers bill numbers with Almara Pay, keeps the due date and balance
it answers, and texts the customer before the due date: at the right hour, once,
and only while something is still owed.`,
		Example: `  duewatch run --sandbox      try it without any account
  duewatch check              is the config right?
  duewatch explain 14200331   the history of a bill, and what comes next`,
		Version:       strings.TrimPrefix(version(), "duewatch "),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&a.configPath, "config", "c", defaultConfig(), "config file; else ./config.yaml, or /etc/duewatch/…")
	root.PersistentFlags().Lookup("config").DefValue = "" // the words say it
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w (%w)", flagError(err), errUsage) })
	root.AddCommand(
		a.runCommand(), a.checkCommand(), a.doctorCommand(), a.servicesCommand(),
		a.billsCommand(), a.explainCommand(), a.previewCommand(), a.simulateCommand(), a.reportCommand(),
		a.importCommand(), a.exportCommand(), a.backupCommand(), a.moveCommand(),
		a.optoutCommand(), a.pauseCommand(), a.resumeCommand(), a.retryCommand(), a.releaseCommand(),
		a.forgetCommand(),
		a.sandboxCommand(), a.versionCommand(), a.completionCommand(), a.manCommand(),
	)
	root.CompletionOptions.DisableDefaultCmd = true // ours says it shorter
	a.complete(root)
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	root.SetVersionTemplate("duewatch {{.Version}}\n")
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q (%w)", strings.Join(args, " "), errUsage)
			}
			return c.Help()
		},
	})
	root.Args = usageArgs(cobra.NoArgs)
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return root
}

// flagError says what to write for a flag that takes a number, in place of the
// words of the library that reads numbers.
func flagError(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	switch f := wrong.GetFlag(); {
	case strings.HasPrefix(f.Value.Type(), "int") || strings.HasPrefix(f.Value.Type(), "uint"):
		of := ""
		if f.Name == "days" {
			of = " of days"
		}
		return fmt.Errorf("--%s %q: write a whole number%s", f.Name, wrong.GetValue(), of)
	case f.Value.Type() == "bool":
		return fmt.Errorf("--%s=%s: write --%[1]s alone", f.Name, wrong.GetValue())
	}
	return err
}

// usageArgs makes a wrong number of arguments, or an unknown command, end with
// status 2.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			if c.HasSubCommands() {
				c.SuggestionsMinimumDistance = 2 // letters that are wrong
				if meant := c.SuggestionsFor(args[0]); len(meant) > 0 {
					return fmt.Errorf("there is no command %q: did you mean %s? (%w)", args[0], strings.Join(meant, " or "), errUsage)
				}
			}
			if _, wanted, ok := strings.Cut(c.Use, " "); ok {
				given := strings.Join(args, " ")
				if given == "" {
					given = "nothing"
				}
				err = fmt.Errorf("%s needs %s, and was given %s", c.Name(), wanted, given)
			}
			return fmt.Errorf("%w (%w)", err, errUsage)
		}
		return nil
	}
}
