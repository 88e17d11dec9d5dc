package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
may read it.

A restored backup does not know what was texted after it was made: the daemon
then finds out from the provider, and stops sending until you have checked.
docs/operations.md says how to restore one.

A store on PostgreSQL is backed up by its server's own means: pg_dump, or base
backups and an archive of its log.`,
		Example: "  duewatch backup /backup/duewatch-$(date +%F).db\n  duewatch backup --force /backup/latest.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
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
			if asJSON {
				return json.NewEncoder(a.stdout).Encode(map[string]any{
					"file": args[0], "bytes": copied.Bytes, "bills": copied.Bills, "reminders": copied.Reminders, "texts": copied.Texts,
					"opt_outs": copied.OptOuts, "events": copied.Events, "seconds": time.Since(began).Seconds(),
				})
			}
			fmt.Fprintf(a.stdout, "%s: %s, %s, %s; %.1f MB, read back and whole\n", args[0], countOf(int(copied.Bills), "bill"),
				countOf(int(copied.Texts), "text"), countOf(int(copied.OptOuts), "opt-out"), float64(copied.Bytes)/1e6)
			return nil
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace FILE if it is there")
	c.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return c
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
