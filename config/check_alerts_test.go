package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAlertURLsAndTheirSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("file", "# ours\nntfy://a.example/hunter2\n\nsmtp://b.example/?from=a&to=b,c\r\n")
	wrong := write("wrong", "ntfy://a.example/hunter2\nwrong://hunter2\n")
	twice := write("twice", "ntfy://a.example/hunter2\nntfy://a.example/hunter2\n")
	write("creds/alert_urls", "ntfy://c.example/hunter2\n")
	write("creds/alert_heartbeat_url", "https://hc.example/hunter2\n")
	creds := "CREDENTIALS_DIRECTORY=" + dir + "/creds"
	for _, tt := range []struct {
		name string
		yaml string // below alerts:
		env  []string
		want []string
		err  []string
	}{
		{name: "none"},
		{name: "listed", yaml: `urls: ["ntfy://x.example/hunter2", "ntfy://y.example/hunter2"]`, want: []string{"ntfy://x.example/hunter2", "ntfy://y.example/hunter2"}},
		{name: "a file", yaml: "urls_file: " + file, want: []string{"ntfy://a.example/hunter2", "smtp://b.example/?from=a&to=b,c"}},
		{name: "a credential over all", yaml: "urls_file: " + file, env: []string{creds}, want: []string{"ntfy://c.example/hunter2"}},
		{name: "the environment", env: []string{"DUEWATCH_ALERTS__URLS=ntfy://x.example/hunter2"}, want: []string{"ntfy://x.example/hunter2"}},

		{name: "both", yaml: "urls: [\"ntfy://x.example/hunter2\"]\n  urls_file: " + file, err: []string{
			"config.yaml:3: alerts.urls_file: is set beside alerts.urls: keep one, best the file"}},
		{name: "a wrong one listed", yaml: `urls: ["ntfy://x.example/hunter2", "wrong://hunter2"]`, err: []string{"config.yaml:2: alerts.urls[1]: is wrong"}},
		{name: "a wrong one in a file", yaml: "urls_file: " + wrong, err: []string{"config.yaml:2: alerts.urls_file: line 2 is wrong"}},
		{name: "one twice", yaml: "urls_file: " + twice, err: []string{"config.yaml:2: alerts.urls_file: line 2 is there twice: remove one"}},
		{name: "a space", yaml: `urls: ["ntfy://x.example/hunter2 hunter2"]`, err: []string{
			"config.yaml:2: alerts.urls[0]: holds a space or a control character: write %20 for a space"}},
		{name: "a file that is missing", yaml: "urls_file: hunter2", err: []string{
			"config.yaml:2: alerts.urls_file: the file cannot be read: no such file or directory"}},
		{name: "an hour that is none", yaml: `digest_at: "25:00"`, err: []string{
			`config.yaml:2: alerts.digest_at: "25:00" is not a time of day: write HH:MM, 00:00 to 24:00, or "" for no daily report`}},
		{name: "a heartbeat unencrypted", yaml: "heartbeat_url: http://hc.example/hunter2", err: []string{
			"config.yaml:2: alerts.heartbeat_url: would be called unencrypted: write one such as https://hc-ping.com/your-id"}},
		{name: "a heartbeat that is none", yaml: "heartbeat_url: hunter2", err: []string{
			"config.yaml:2: alerts.heartbeat_url: is not a web address: write one such as https://hc-ping.com/your-id"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := sandbox(tt.env...)
			opts.CheckAlertURL = func(s string) error {
				if strings.HasPrefix(s, "wrong:") {
					return errors.New("is wrong")
				}
				return nil
			}
			cfg, err := load("config.yaml", []byte("alerts:\n  "+tt.yaml+"\n"), opts)
			if diff := cmp.Diff(tt.err, problemsOf(t, err)); diff != "" {
				t.Fatalf("problems (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			var got []string
			for _, u := range cfg.Alerts.URLs {
				got = append(got, u.Reveal())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("urls (-want +got):\n%s", diff)
			}
		})
	}
	cfg := mustLoad(t, "alerts: {digest_at: ''}", sandbox(creds))
	if got := cfg.Alerts.HeartbeatURL.Reveal(); got != "https://hc.example/hunter2" || cfg.Alerts.DigestAt != nil {
		t.Errorf("the heartbeat is %q, the report at %v", got, cfg.Alerts.DigestAt)
	}
	if at := mustLoad(t, "", sandbox()).Alerts.DigestAt; at == nil || at.String() != "07:30" {
		t.Errorf("by default the report comes at %v", at)
	}
}
