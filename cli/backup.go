package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/store"
)

func (a *app) backupCommand() *cobra.Command {
	var force, asJSON bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store while the daemon runs",
		Long: `Writes a copy of the store as it is at one instant. The daemon goes on in the
meantime. FILE gets its name when the copy was read back and found to be whole:
it is a good backup, or not there. It holds every phone in full, and only you
may read it. With - for FILE the copy goes to standard output once it was read
back, and the summary to standard error; it is made in the temporary folder
first, which has to have room for it.

A restored backup does not know what was texted after it was made: the daemon
then finds out from the provider, and stops sending until you have checked.
docs/operations.md says how to restore one.

A store on PostgreSQL is backed up by its server's own means: pg_dump, or base
backups and an archive of its log.`,
		Example: `  duewatch backup /backup/duewatch-$(date +%F).db
  duewatch backup --force /backup/latest.db
  duewatch backup - | gzip | ssh backup.example.org 'cat > duewatch.db.gz'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if args[0] == "-" {
				return a.backupToStdout(c, asJSON)
			}
			folder := filepath.Dir(args[0])
			if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("the folder %s does not exist: make it first, or name a file elsewhere", folder)
			}
			cfg, s, err := a.openReader(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if config.StoreOnServer(cfg.Store) {
				return fmt.Errorf("%w; such as pg_dump --format=custom --file=%s '%s'", store.ErrNoBackup, args[0], cfg.Store)
			}
			began := time.Now()
			copied, err := a.copyStore(c.Context(), s, args[0], force)
			if err != nil {
				return err
			}
			return printCopied(a.stdout, args[0], copied, time.Since(began), asJSON)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace FILE if it is there")
	c.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return c
}

// printCopied prints what a backup holds.
func printCopied(to io.Writer, name string, copied store.Copied, took time.Duration, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(to).Encode(map[string]any{
			"file": name, "bytes": copied.Bytes, "bills": copied.Bills, "reminders": copied.Reminders, "texts": copied.Texts,
			"opt_outs": copied.OptOuts, "events": copied.Events, "seconds": took.Seconds(),
		})
	}
	fmt.Fprintf(to, "%s: %s, %s, %s; %.1f MB, read back and whole\n", name, countOf(int(copied.Bills), "bill"),
		countOf(int(copied.Texts), "text"), countOf(int(copied.OptOuts), "opt-out"), float64(copied.Bytes)/1e6)
	return nil
}

// backupToStdout makes the copy in a folder that only this user may enter, and writes it out
// from there: what is read by a pipe could not be read back.
func (a *app) backupToStdout(c *cobra.Command, asJSON bool) (err error) {
	if terminal(a.stdout) != nil {
		return fmt.Errorf("a store is nothing to read: send it into a file or a program, as in duewatch backup - | gzip > FILE (%w)", errUsage)
	}
	_, s, err := a.openReader(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	folder, err := os.MkdirTemp("", "duewatch-backup-")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	began := time.Now()
	file := filepath.Join(folder, "duewatch.db")
	copied, err := a.copyStore(c.Context(), s, file, false)
	if err != nil {
		return err
	}
	f, err := os.Open(file) //nolint:gosec // made just now
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	if _, err := io.Copy(a.stdout, f); err != nil {
		return fmt.Errorf("backup: write to standard output: %w", err)
	}
	return printCopied(a.stderr, "standard output", copied, time.Since(began), asJSON)
}

// copyStore copies a store that may be in use, with its progress on stderr.
func (a *app) copyStore(ctx context.Context, s *store.Store, file string, force bool) (store.Copied, error) {
	p := newPhases(a.stderr, "pages")
	defer p.done()
	copied, err := s.Backup(ctx, file, force, p.at)
	if errors.Is(err, context.Canceled) {
		return copied, errors.New("interrupted; nothing was written")
	}
	return copied, err
}
