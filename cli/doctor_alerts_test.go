package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"duewatch/config"
)

// Each URL is tried, and it is said which worked.
func TestDoctorTriesAlerts(t *testing.T) {
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(body)
		if r.URL.Path == "/s3cr3t-bad" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	cfg, err := config.Load("", config.Options{Sandbox: true, Environ: []string{
		"DUEWATCH_STORE=" + filepath.Join(t.TempDir(), "x.db"), "DUEWATCH_ALERTS__HEARTBEAT_URL=" + server.URL + "/s3cr3t-beat",
		"DUEWATCH_ALERTS__URLS=generic+" + server.URL + "/s3cr3t-good,generic+" + server.URL + "/s3cr3t-bad",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []bool{false, true} {
		var out bytes.Buffer
		d := &doctor{app: &app{stdout: &out, stderr: &out, now: wallClock}, cfg: cfg, sandboxed: true, testAlerts: test}
		var all findings = d.alerts(t.Context())
		var lines []string
		for _, f := range all {
			lines = append(lines, f.Level+" "+f.Part+" "+f.Text)
		}
		text := strings.Join(lines, "\n")
		want := []string{"note alerts problems are told to generic+" + server.URL + " (1), generic+" + server.URL + " (2); duewatch doctor --alerts sends a test"}
		if test {
			want = []string{
				"ok heartbeat " + server.URL + " was taken", "ok alerts generic+" + server.URL + " (1) took a test",
				"fix alerts generic+" + server.URL + " (2) did not take a test: ", "403 Forbidden",
			}
		}
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in\n%s", part, text)
			}
		}
		if strings.Contains(text, "s3cr3t") {
			t.Errorf("a secret is in\n%s", text)
		}
		if sent := len(got); !test && sent != 0 || test && sent != 3 {
			t.Errorf("test %v: %d calls", test, sent)
		}
	}
	cfg.Alerts = config.Alerts{}
	none := (&doctor{cfg: cfg}).alerts(t.Context())
	if len(none) != 2 || none[0].Level != levelNote || none[1].Level != levelNote {
		t.Errorf("without any: %+v", none)
	}
}
