package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"duewatch/config"
	"duewatch/scheduler"
	"duewatch/systemd"
)

// credentialPlaces is where root finds the secrets of the service.
type credentialPlaces struct {
	configs string // the folder of the service's config: only a config in it is checked with them
	running string // what systemd has handed to the service that runs
	stored  string // what it will hand over at a start: a folder for each of the unit's LoadCredential=
}

// installedPlaces are those of the unit.
var installedPlaces = credentialPlaces{
	configs: "/etc/duewatch",
	running: "/run/credentials/" + systemd.Service,
	stored:  "/etc/duewatch/credentials",
}

// loadAsService is load for a command that needs the secrets. Run by root on the config of
// the service, it finds those of the service by itself; from says where, "" where they came from
// the config or the environment.
func (a *app) loadAsService(sandbox bool) (cfg *config.Config, from string, err error) {
	if sandbox || os.Getuid() != 0 {
		cfg, err = a.load(sandbox)
		return cfg, "", err
	}
	folder, from, done, err := installedPlaces.find(a.configPath)
	if err != nil {
		return nil, "", err
	}
	defer done()
	if folder == "" {
		cfg, err = a.load(sandbox)
		return cfg, "", err
	}
	environ := append(os.Environ(), "CREDENTIALS_DIRECTORY="+folder)
	cfg, err = config.Load(a.configPath, config.Options{CheckSchedule: scheduler.CheckExpression, Environ: environ, Now: a.now})
	return cfg, from, err
}

// find returns the folder to read credentials from, "" for none, and what it is in words.
// done removes what was made for it.
func (p credentialPlaces) find(configPath string) (folder, from string, done func(), err error) {
	done = func() {}
	path, err := filepath.Abs(configPath)
	if err != nil || filepath.Dir(path) != p.configs || os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		return "", "", done, nil
	}
	if _, err := os.Stat(p.running); err == nil {
		return p.running, "those of the running service, in " + p.running, done, nil
	}
	// The service does not run. What it will be given has other names: almara/client_secret
	// becomes almara_client_secret.
	files, err := filepath.Glob(filepath.Join(p.stored, "*", "*"))
	if err != nil || len(files) == 0 {
		return "", "", done, nil
	}
	links, err := os.MkdirTemp("", "duewatch-credentials-") // for root alone, and without a secret
	if err != nil {
		return "", "", done, fmt.Errorf("credentials: %w", err)
	}
	done = func() { _ = os.RemoveAll(links) }
	defer func() {
		if err != nil {
			done()
		}
	}()
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the secrets of the service
		if err != nil {
			return "", "", done, fmt.Errorf("credentials: %w", err)
		}
		if encrypted(text) {
			return "", "", done, errEncrypted
		}
		name := filepath.Base(filepath.Dir(file)) + "_" + filepath.Base(file)
		if err := os.Symlink(file, filepath.Join(links, name)); err != nil {
			return "", "", done, fmt.Errorf("credentials: %w", err)
		}
	}
	return links, "those that the service will be given, from " + p.stored, done, nil
}

// errEncrypted means that only systemd can read the secrets.
var errEncrypted = errors.New("the secrets of the service are encrypted, and it does not run: " +
	"start it and repeat this (sudo systemctl start duewatch), or see \"Encrypted\" in systemd/README.md")

// encrypted reports whether a file was made by systemd-creds encrypt: it is base64 of several
// lines, where a secret has one.
func encrypted(text []byte) bool { return bytes.ContainsRune(bytes.TrimRight(text, "\r\n"), '\n') }

// needsRoot adds to the error about a config that could not be read that root could.
func needsRoot(err error, path string) error {
	wrong, ok := errors.AsType[*config.Error](err)
	if ok && os.Getuid() != 0 && syscall.Access(path, 4 /* R_OK */) == syscall.EACCES {
		wrong.Problems[0].Text += "; only root and the daemon may read it: use sudo"
	}
	return err
}
