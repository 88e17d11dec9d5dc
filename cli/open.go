package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/store"
	"duewatch/systemd"
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
	cfg, err := daemon.LoadConfig(a.configPath, sandbox, a.now)
	return cfg, needsRoot(err, a.configPath)
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

// openOrMake is openWriter for a command that an operator may well type before the daemon
// has ever run: it makes the store as the daemon would.
func (a *app) openOrMake(c *cobra.Command) (*config.Config, *store.Store, error) {
	cfg, s, err := a.openWriter(c)
	if !errors.Is(err, store.ErrNotFound) {
		return cfg, s, err
	}
	if cfg, err = a.load(true); err == nil {
		err = makeStore(c.Context(), cfg)
	}
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(a.stderr, "made the store %s\n", cfg.Store)
	return a.openWriter(c)
}

// makeStore makes an empty store. Root makes a file for the owner of its folder, since the daemon
// could not open one of root's; and makes the folder too where it is the unit's own.
func makeStore(ctx context.Context, cfg *config.Config) (err error) {
	path := cfg.Store
	folder := filepath.Dir(path)
	if config.StoreOnServer(path) {
		s, err := store.Open(ctx, cfg.StoreAddress())
		if err != nil {
			return err
		}
		return s.Close()
	}
	if folder == systemd.StateDirectory && os.Getuid() == 0 {
		if err := makeStateDirectory(folder); err != nil {
			return fmt.Errorf("make the folder of the store: %w", err)
		}
	}
	s, err := store.Open(ctx, path)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("make the store: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Getuid() != 0 || owner.Uid == 0 {
		return nil
	}
	for _, end := range []string{"", ".lock", "-wal", "-shm"} {
		err := giveTo(path+end, int(owner.Uid), int(owner.Gid))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("make the store: %w", err)
		}
	}
	return nil
}

// giveTo changes the owner of a file. The folder belongs to somebody else, who could put a link
// in its place: none is followed.
func giveTo(name string, uid, gid int) error {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0) //nolint:gosec // the store of the config
	if err != nil {
		return err
	}
	return errors.Join(f.Chown(uid, gid), f.Close())
}

// makeStateDirectory makes the folder as StateDirectory= of the unit does at a start.
func makeStateDirectory(folder string) error {
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	is, err := user.Lookup(systemd.User)
	if err != nil {
		return nil //nolint:nilerr // without the user, systemd sets the owner at the first start
	}
	uid, err1 := strconv.Atoi(is.Uid)
	gid, err2 := strconv.Atoi(is.Gid)
	return errors.Join(err1, err2, os.Chown(folder, uid, gid))
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
