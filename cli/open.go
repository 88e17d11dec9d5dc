package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/store"
)

// defaultConfig is the file beside us, as in a checkout, or the installed one.
func defaultConfig() string {
	if _, err := os.Stat("config.yaml"); err == nil {
		return "config.yaml"
	}
	return "/etc/duewatch/config.yaml"
}

// load reads the config for a command. For the sandbox, and for commands that call
// nobody, it asks for no endpoints and no credentials.
func (a *app) load(sandbox bool) (*config.Config, error) {
	return daemon.LoadConfig(a.configPath, sandbox, a.now)
}

// startStandIns starts the stand-ins for the length of a command, and puts them into the
// config.
func (a *app) startStandIns(ctx context.Context, cfg *config.Config) error {
	standIns, err := daemon.StartStandIns(ctx, cfg, a.now, nil, slog.New(slog.DiscardHandler))
	if err == nil {
		standIns.ReplaceIn(cfg)
	}
	return err
}

// openReader opens the store that the config names, for reading.
func (a *app) openReader(c *cobra.Command) (*config.Config, *store.Store, error) {
	return a.openWith(c, store.OpenReader)
}

// openWriter opens the store that the config names, to change something.
func (a *app) openWriter(c *cobra.Command) (*config.Config, *store.Store, error) {
	return a.openWith(c, store.OpenWriter)
}

// openWith opens the store, and makes the config that of the store's world.
func (a *app) openWith(c *cobra.Command, open func(context.Context, string) (*store.Store, error)) (*config.Config, *store.Store, error) {
	cfg, err := a.load(true)
	if err != nil {
		return nil, nil, err
	}
	s, err := open(c.Context(), cfg.StoreAddress())
	if err != nil {
		return nil, nil, err
	}
	if err := a.adaptToWorld(c.Context(), cfg, s); err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return cfg, s, nil
}

// adaptToWorld puts the stand-ins into the config when the store belongs to the
// sandbox, so that the store is read as its daemon reads it.
func (a *app) adaptToWorld(ctx context.Context, cfg *config.Config, s *store.Store) error {
	world, err := daemon.World(ctx, s)
	if err == nil && world == daemon.WorldSandbox {
		daemon.StandInsFor(cfg, a.now()).ReplaceIn(cfg)
	}
	return err
}

// problems words what keeps texts from leaving as the daemon does.
func (a *app) problems(cfg *config.Config, s *store.Store) daemon.Problems {
	return daemon.Problems{Store: s, Policy: cfg.Policies.Default, Now: a.now}
}
