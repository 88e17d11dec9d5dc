package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand writes the man pages, for make install. They say what --help says:
// there is one source for both.
func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages into a folder",
		Long:    "Writes a man page for each command into a folder, which must be there.",
		Example: "  duewatch man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return eachCommand(c.Root(), func(c *cobra.Command) error {
				var page strings.Builder
				manPage(&page, c)
				name := filepath.Join(args[0], manName(c)+".1")
				if err := writePage(name, page.String()); err != nil {
					return fmt.Errorf("man: %w", err)
				}
				return nil
			})
		},
	}
}

// writePage takes the place of an older page, as install does of a program: it
// follows no link there, and everyone may read it whatever the umask is.
func writePage(name, page string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // everyone may read a manual
	if err != nil {
		return err
	}
	_, err = f.WriteString(page)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}

// eachCommand calls do for a command and all below it that help lists.
func eachCommand(c *cobra.Command, do func(*cobra.Command) error) error {
	if c.Hidden || c.Name() == "help" {
		return nil
	}
	errs := []error{do(c)}
	for _, sub := range c.Commands() {
		errs = append(errs, eachCommand(sub, do))
	}
	return errors.Join(errs...)
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes a page in roff. What help lays out in columns stays as it is.
func manPage(w io.Writer, c *cobra.Command) {
	fmt.Fprintf(w, ".TH %s 1 \"\" %s\n.nh\n.ad l\n", strings.ToUpper(manName(c)), roff(strings.Fields(version())[0]))
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(manName(c)), roff(c.Short))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	if c.Long != "" {
		verbatim(w, "DESCRIPTION", c.Long)
	}
	options := func(title string, flags *pflag.FlagSet) {
		if flags.HasAvailableFlags() {
			verbatim(w, title, flags.FlagUsagesWrapped(72))
		}
	}
	options("OPTIONS", c.NonInheritedFlags())
	options("OPTIONS OF ALL COMMANDS", c.InheritedFlags())
	if c.Example != "" {
		verbatim(w, "EXAMPLE", c.Example)
	}
	verbatim(w, "EXIT STATUS", "0  done\n1  failed\n2  the command line or the config is wrong")
	var others []string
	if c.HasParent() {
		others = append(others, manName(c.Parent())+"(1)")
	}
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			others = append(others, manName(sub)+"(1)")
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(w, ".SH SEE ALSO\n%s\n", roff(strings.Join(others, ", ")))
	}
}

func verbatim(w io.Writer, title, text string) {
	fmt.Fprintf(w, ".SH %s\n.nf\n", title)
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		if line[0] == '.' || line[0] == '\'' {
			fmt.Fprint(w, `\&`) // it is no request to the formatter
		}
		fmt.Fprint(w, roff(line))
	}
	fmt.Fprint(w, ".fi\n")
}

// roff keeps a text from being read as more than text.
func roff(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
