package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/store"
)

// A clock that is wrong moves every text to a wrong hour: it is found by the
// Date of the answers.
func TestDoctorComparesClocks(t *testing.T) {
	for name, tt := range map[string]struct {
		theirs time.Duration // ahead of ours
		want   string
	}{
		"equal":       {0, "ok    clock      agrees"},
		"a bit apart": {20 * time.Second, "ok    clock      agrees"},
		"behind":      {10 * time.Minute, "behind 127.0.0.1:"},
		"ahead":       {-3 * time.Hour, "ahead of 127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := sandbox.New(sandbox.Options{})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(tt.theirs).UTC().Format(http.TimeFormat))
				s.Handler().ServeHTTP(w, r)
			}))
			defer server.Close()
			cfg, err := config.Load("", config.Options{Sandbox: true, Environ: []string{"DUEWATCH_STORE=" + filepath.Join(t.TempDir(), "x.db")}})
			if err != nil {
				t.Fatal(err)
			}
			(&daemon.StandIns{URL: server.URL}).ReplaceIn(cfg)
			var out bytes.Buffer
			a := &app{stdout: &out, stderr: &out, now: wallClock}
			err = (&doctor{app: a, cfg: cfg, sandboxed: true}).examine(t.Context(), false)
			if !strings.Contains(out.String(), tt.want) || (err == nil) != strings.HasPrefix(tt.want, "ok") {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

// A large store is read by check: nobody waits for the doctor.
func TestDoctorReadsAStoreAsAWholeWhenItIsSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := store.Open(t.Context(), path)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		size int64
		want string
	}{
		{readWhole, "x.db is of this version, and sound"},
		{readWhole + 1, "x.db is of this version; 128 MiB are too much to be read as a whole here, which duewatch check does"},
	} {
		if err := os.Truncate(path, tt.size); err != nil { // SQLite goes by the size in its header
			t.Fatal(err)
		}
		r, err := store.OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		d := &doctor{app: &app{now: wallClock}, cfg: &config.Config{Store: path}, store: r}
		got := d.theStore(t.Context())
		if len(got) != 1 || got[0].Level != levelOK || !strings.HasSuffix(got[0].Text, tt.want) {
			t.Errorf("%d bytes: %+v, want %s", tt.size, got, tt.want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A trial account is in the way of mode live only.
func TestDoctorKnowsTrialAccounts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sid": "`+sandbox.AccountSID+`", "status": "active", "type": "Trial"}`)
	}))
	defer server.Close()
	for mode, level := range map[reminder.Mode]string{reminder.ModeLive: levelFix, reminder.ModeRedirect: levelNote} {
		cfg, err := config.Load("", config.Options{Sandbox: true, Environ: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		(&daemon.StandIns{URL: server.URL}).ReplaceIn(cfg)
		cfg.Delivery = reminder.Delivery{Mode: mode, RedirectTo: "+254710000001"}
		a := &app{now: wallClock}
		d := &doctor{app: a, cfg: cfg, clocks: &clocks{now: a.now}}
		got := d.twilio(t.Context())
		if len(got) != 3 || got[1].Level != level || !strings.Contains(got[1].Text, "trial account") {
			t.Errorf("mode %s: %+v", mode, got)
		}
	}
}

func TestDoctorReadsTheUnit(t *testing.T) {
	for name, tt := range map[string]struct{ said, want string }{
		"in order":     {"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nWatchdogUSec=1min 30s\n", "ok duewatch.service runs, starts with the machine, and has a watchdog of 1min 30s"},
		"not there":    {"LoadState=not-found\nActiveState=inactive\nUnitFileState=\nWatchdogUSec=0\n", "fix duewatch.service is not installed: see systemd/README.md"},
		"failed":       {"LoadState=loaded\nActiveState=failed\nUnitFileState=enabled\nWatchdogUSec=1min 30s\n", "fix duewatch.service is failed: see journalctl -u duewatch, then sudo systemctl start duewatch"},
		"stopped":      {"LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\nWatchdogUSec=1min 30s\n", "fix duewatch.service is inactive: see journalctl -u duewatch, then sudo systemctl start duewatch"},
		"not yet":      {"LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nWatchdogUSec=1min 30s\n", "note duewatch.service has not been started yet: sudo systemctl enable --now duewatch"},
		"by hand only": {"LoadState=loaded\nActiveState=active\nUnitFileState=disabled\nWatchdogUSec=1min 30s\n", "fix duewatch.service is disabled, so that it does not start with the machine: sudo systemctl enable duewatch"},
		"no watchdog":  {"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nWatchdogUSec=0\n", "fix duewatch.service has no WatchdogSec=, so that a stuck daemon is not started again: install the unit anew"},
		"masked":       {"LoadState=masked\nActiveState=inactive\nUnitFileState=masked\nWatchdogUSec=0\n", "fix duewatch.service is masked: see systemctl status duewatch"},
		"unread":       {"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nWatchdogUSec=1min 30s\nNeedDaemonReload=yes\n", "fix duewatch.service has changed since systemd read it: sudo systemctl daemon-reload, then sudo systemctl restart duewatch"},
	} {
		t.Run(name, func(t *testing.T) {
			got := unitFindings([]byte(tt.said), name != "not yet", nil)
			if len(got) != 1 || got[0].Level+" "+got[0].Text != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
}
