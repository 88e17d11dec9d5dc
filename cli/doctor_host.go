package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/store"
	"duewatch/systemd"
)

// theStore reads as much of the store as can be read in a moment.
func (d *doctor) theStore(ctx context.Context) []finding {
	const part = "store"
	path := d.cfg.Store
	if config.StoreOnServer(path) {
		return d.database(ctx)
	}
	folder := filepath.Dir(path)
	var out findings
	if err := syscall.Access(folder, 2 /* W_OK */); err != nil && (folder != systemd.StateDirectory || !errors.Is(err, os.ErrNotExist)) {
		out = found(levelFix, part, "the folder %s cannot be written by this user (%v): make it, or check its owner and mode", folder, err)
	}
	switch {
	case errors.Is(d.storeErr, store.ErrNotFound):
		if out == nil {
			out = found(levelNote, part, "%s", notYet(path))
		}
		return out
	case d.storeErr != nil:
		return out.add(levelFix, part, "%s", reason(d.storeErr))
	}
	out = append(out, d.worldOfStore(ctx)...)
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		out.add(levelFix, part, "%s is readable by other users: run chmod 600 on it", path)
	}
	out = append(out, d.readStore(ctx)...)
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > maxWAL {
		out.add(levelFix, part, "its log %s-wal has grown to %s: a program keeps an old view of it open; restart the daemon",
			path, sizeOf(log.Size()))
	}
	return out
}

// worldOfStore says when the store is not of the world that is asked about.
func (d *doctor) worldOfStore(ctx context.Context) []finding {
	const part = "store"
	if d.store == nil {
		return nil
	}
	world, err := daemon.World(ctx, d.store)
	if err != nil {
		return found(levelFix, part, "%s", reason(err))
	}
	if want := map[bool]string{true: daemon.WorldSandbox, false: daemon.WorldReal}[d.sandboxed]; world != "" && world != want {
		return found(levelFix, part, "%s belongs to the %s world and is refused in the %s one: name another one in store",
			d.cfg.Store, world, want)
	}
	return nil
}

// verified counts the bills whose accounts the biller has not confirmed: texts
// about them may be about nobody's bill.
func (d *doctor) verified(ctx context.Context) []finding {
	const part = "bills"
	if d.store == nil {
		return nil
	}
	n, err := d.store.NotVerified(ctx)
	switch {
	case err != nil:
		return found(levelFix, part, "%s", reason(err))
	case n > 0:
		return found(levelNote, part, "%s not verified: the biller has not confirmed the account, says Almara Pay; "+
			"see STATE in duewatch bills", countOf(n, "bill"))
	}
	return nil
}

// maxWAL is far more than the log reaches before it is emptied into the file.
const maxWAL = 1 << 30

func (d *doctor) readStore(ctx context.Context) []finding {
	path := d.cfg.Store
	info, err := os.Stat(path)
	if err != nil {
		return found(levelFix, "store", "%s", reason(err))
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if info.Size() <= readWhole {
		err = d.store.Check(ctx)
	}
	switch {
	case info.Size() > readWhole || ctx.Err() != nil:
		return found(levelOK, "store", "%s is of this version; %s are too much to be read as a whole here, which duewatch check does",
			path, sizeOf(info.Size()))
	case err != nil:
		return found(levelFix, "store", "%s", reason(err))
	}
	return found(levelOK, "store", "%s is of this version, and sound", path)
}

// sending says what keeps texts from leaving, and who must not be texted.
func (d *doctor) sending(ctx context.Context) []finding {
	const part = "sending"
	if d.store == nil {
		return nil
	}
	var out findings
	for _, problem := range d.app.problems(d.cfg, d.store).Sending(ctx) {
		out.add(levelFix, part, "%s", problem.Text)
	}
	if out == nil {
		out = found(levelOK, part, "no stop and no guard holds texts")
	}
	n, err := d.store.PhonesOptedOut(ctx)
	if err != nil {
		return out.add(levelFix, "opt-outs", "%s", reason(err))
	}
	return out.add(levelOK, "opt-outs", "%s on the list", countOf(n, "phone"))
}

// minFree is enough for days of work, and for the copy that a backup needs of a
// usual store.
const minFree = 512 << 20

func (d *doctor) disk(context.Context) []finding {
	const part = "disk"
	if config.StoreOnServer(d.cfg.Store) {
		return nil // the server's
	}
	folder := filepath.Dir(d.cfg.Store)
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return found(levelNote, part, "%s cannot be read: %v", folder, err)
	}
	free := int64(s.Bavail) * s.Bsize //nolint:gosec // no disk is that large
	if free < minFree {
		return found(levelFix, part, "only %s are free at %s: texts stop when it is full; free some space", sizeOf(free), folder)
	}
	return found(levelOK, part, "%s are free at %s", sizeOf(free), folder)
}

// unitName is the service of systemd/duewatch.service.
const unitName = systemd.Service

// unit asks systemd for the daemon's unit.
func (d *doctor) unit(ctx context.Context) []finding {
	const part = "systemd"
	if d.sandboxed {
		return found(levelNote, part, "not checked: the sandbox is run by hand")
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	var why bytes.Buffer
	c := exec.CommandContext(ctx, "systemctl", "show", unitName,
		"--property=LoadState,ActiveState,UnitFileState,WatchdogUSec,FragmentPath,NeedDaemonReload")
	c.Stderr = &why
	said, err := c.Output()
	if err != nil { // as on a machine that was started by something else
		first, _, _ := strings.Cut(cmp.Or(why.String(), err.Error()), "\n")
		return found(levelNote, part, "it says nothing about %s (%s): make sure that something else restarts the daemon", unitName, first)
	}
	return unitFindings(said, d.hasRun(ctx), os.ReadFile)
}

// hasRun reports whether a daemon has ever run on the store. An import may have made it before.
func (d *doctor) hasRun(ctx context.Context) bool {
	if d.store == nil {
		return !errors.Is(d.storeErr, store.ErrNotFound)
	}
	world, err := daemon.World(ctx, d.store)
	return err != nil || world != ""
}

// unitFindings reads what systemctl show says of the unit, and the unit's file. Before a daemon
// has run for the first time, there is nothing wrong with a unit that is not started.
func unitFindings(said []byte, hasRun bool, read func(name string) ([]byte, error)) []finding {
	const part = "systemd"
	is := map[string]string{}
	for line := range bytes.Lines(said) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		is[name] = value
	}
	switch is["LoadState"] {
	case "loaded":
	case "not-found":
		return found(levelFix, part, "%s is not installed: see systemd/README.md", unitName)
	default:
		return found(levelFix, part, "%s is %s: see systemctl status duewatch", unitName, is["LoadState"])
	}
	if !hasRun && is["ActiveState"] == "inactive" {
		return found(levelNote, part, "%s has not been started yet: sudo systemctl enable --now duewatch", unitName)
	}
	var out findings
	if is["ActiveState"] != "active" {
		out = found(levelFix, part, "%s is %s: see journalctl -u duewatch, then sudo systemctl start duewatch", unitName, is["ActiveState"])
	}
	if state := is["UnitFileState"]; state != "enabled" {
		out.add(levelFix, part, "%s is %s, so that it does not start with the machine: sudo systemctl enable duewatch", unitName, state)
	}
	if is["NeedDaemonReload"] == "yes" {
		out.add(levelFix, part, "%s has changed since systemd read it: sudo systemctl daemon-reload, "+
			"then sudo systemctl restart duewatch", unitName)
	}
	if dog := is["WatchdogUSec"]; dog == "" || dog == "0" {
		out.add(levelFix, part, "%s has no WatchdogSec=, so that a stuck daemon is not started again: install the unit anew", unitName)
	}
	if out == nil {
		out = found(levelOK, part, "%s runs, starts with the machine, and has a watchdog of %s", unitName, is["WatchdogUSec"])
	}
	file := is["FragmentPath"]
	if file == "" {
		return out
	}
	text, err := read(file)
	if err != nil {
		return out.add(levelNote, part, "its file cannot be compared with that of this binary: %v", err)
	}
	if keys := systemd.Differing(string(text)); len(keys) > 0 {
		more := ""
		if len(keys) > maxKeys {
			keys, more = keys[:maxKeys], ", …"
		}
		out.add(levelNote, part, "%s is not the unit that came with this binary; %s%s differ: install duewatch anew, "+
			"and settings of your own belong in sudo systemctl edit duewatch", file, strings.Join(keys, ", "), more)
	}
	return out
}

// maxKeys is how many settings of a unit are named.
const maxKeys = 5
