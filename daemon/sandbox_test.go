package daemon

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"duewatch/config"
	"duewatch/reminder"
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

// Own bills that a reload brings take the place of the samples, as at a start.
func TestOwnBillsReplaceTheSamplesAtAReload(t *testing.T) {
	load := func() *config.Config {
		cfg, err := config.Load("", config.Options{Sandbox: true, Environ: []string{"DUEWATCH_STORE=" + filepath.Join(t.TempDir(), "x.db")}})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	first := load()
	standIns := StandInsFor(first, time.Now())
	standIns.ReplaceIn(first)
	if len(first.Bills) < 10 {
		t.Fatalf("%d sample bills", len(first.Bills))
	}
	own := load()
	own.Bills = []reminder.Bill{{Service: "17", Account: "0042", Phone: "+254710000001"}}
	standIns.ReplaceIn(own)
	if len(own.Bills) != 1 {
		t.Errorf("%d bills, want the config's own one", len(own.Bills))
	}
}
