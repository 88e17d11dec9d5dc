package daemon

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"duewatch/config"
)

// The stand-ins show texts and change what is owed without a password: who has
// a name of his own lead to this machine is not answered.
func TestTheSandboxAnswersThisMachineOnly(t *testing.T) {
	cfg, err := config.Load("", config.Options{Sandbox: true, Environ: []string{"DUEWATCH_STORE=" + filepath.Join(t.TempDir(), "x.db")}})
	if err != nil {
		t.Fatal(err)
	}
	standIns, err := StartStandIns(t.Context(), cfg, time.Now, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"": http.StatusOK, "localhost:1": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, standIns.URL+"/inbox", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want {
			t.Errorf("%q gets %d, want %d", host, answer.StatusCode, want)
		}
	}
}
