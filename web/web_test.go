package web_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"duewatch/web"
)

const token = "0123456789abcdef"

func config(h web.Health) web.Config {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "duewatch_test_total", Help: "Of this test."}))
	return web.Config{
		Listen:  "127.0.0.1:0",
		Health:  func(context.Context) web.Health { return h },
		Metrics: registry,
		Log:     slog.New(slog.DiscardHandler),
	}
}

func ask(t *testing.T, c web.Config, r *http.Request) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	web.Handler(c).ServeHTTP(w, r)
	return w.Result()
}

func request(t *testing.T, method, path string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8750"+path, nil)
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 3, 3, 6, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		health web.Health
		status int
		want   map[string]any
	}{
		"well": {
			web.Health{Alive: true, Ready: true, Problems: []string{}, Jobs: []web.Job{{Name: "remind", LastStarted: started, LastEnded: started}}},
			http.StatusOK,
			map[string]any{"alive": true, "ready": true, "problems": []any{}, "jobs": []any{map[string]any{
				"name": "remind", "running": false, "late": false, "last_started": "2026-03-03T06:00:00Z", "last_ended": "2026-03-03T06:00:00Z",
			}}},
		},
		"a problem that a restart does not mend": {
			web.Health{Alive: true, Problems: []string{"the last pass of register failed: no answer"}, Jobs: []web.Job{{Name: "register", LastError: "no answer"}}},
			http.StatusOK,
			map[string]any{
				"alive": true, "ready": false, "problems": []any{"the last pass of register failed: no answer"},
				"jobs": []any{map[string]any{"name": "register", "running": false, "late": false, "last_error": "no answer"}},
			},
		},
		"not alive": {
			web.Health{Problems: []string{"the job remind is late"}, Jobs: []web.Job{{Name: "remind", Running: true, LastStarted: started, Late: true}}},
			http.StatusServiceUnavailable,
			map[string]any{
				"alive": false, "ready": false, "problems": []any{"the job remind is late"},
				"jobs": []any{map[string]any{"name": "remind", "running": true, "late": true, "last_started": "2026-03-03T06:00:00Z"}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, config(tt.health), request(t, http.MethodGet, "/healthz"))
			if r.StatusCode != tt.status {
				t.Errorf("status %d, want %d", r.StatusCode, tt.status)
			}
			if got := r.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(body(t, r)), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("health (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		health         web.Health
		healthy, ready int
	}{
		"well":           {web.Health{Alive: true, Ready: true}, http.StatusOK, http.StatusOK},
		"starting":       {web.Health{Alive: true}, http.StatusOK, http.StatusServiceUnavailable},
		"a job is stuck": {web.Health{Ready: true}, http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	} {
		for path, want := range map[string]int{"/-/healthy": tt.healthy, "/-/ready": tt.ready} {
			r := ask(t, config(tt.health), request(t, http.MethodGet, path))
			if said := body(t, r); r.StatusCode != want || (said == "ok\n") != (want == http.StatusOK) {
				t.Errorf("%s: %s answers %d %q", name, path, r.StatusCode, said)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, path string
		status       int
		says         string
	}{
		"metrics":                  {http.MethodGet, "/metrics", http.StatusOK, "duewatch_test_total 0"},
		"head, as some monitors":   {http.MethodHead, "/healthz", http.StatusOK, ""},
		"nothing else":             {http.MethodGet, "/debug/pprof/", http.StatusNotFound, ""},
		"nothing can be posted":    {http.MethodPost, "/healthz", http.StatusMethodNotAllowed, ""},
		"metrics cannot be posted": {http.MethodPost, "/metrics", http.StatusMethodNotAllowed, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, config(web.Health{Alive: true}), request(t, tt.method, tt.path))
			if r.StatusCode != tt.status {
				t.Errorf("status %d, want %d", r.StatusCode, tt.status)
			}
			if got := body(t, r); !strings.Contains(got, tt.says) {
				t.Errorf("it says %q without %q", got, tt.says)
			}
		})
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	tests := map[string]struct {
		authorization string
		status        int
	}{
		"bearer":                    {"Bearer " + token, http.StatusOK},
		"basic, any user":           {basic("prometheus", token), http.StatusOK},
		"basic, no user":            {basic("", token), http.StatusOK},
		"bearer, in small letters":  {"bearer " + token, http.StatusOK},
		"none":                      {"", http.StatusUnauthorized},
		"empty bearer":              {"Bearer ", http.StatusUnauthorized},
		"a shorter one":             {"Bearer " + token[:15], http.StatusUnauthorized},
		"a longer one":              {"Bearer " + token + "0", http.StatusUnauthorized},
		"the token as user":         {basic(token, ""), http.StatusUnauthorized},
		"a wrong password":          {basic("prometheus", "wrong"), http.StatusUnauthorized},
		"not base64":                {"Basic %", http.StatusUnauthorized},
		"the token with no scheme":  {token, http.StatusUnauthorized},
		"a scheme that is not used": {"Digest " + token, http.StatusUnauthorized},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(web.Health{Alive: true, Problems: []string{"a-problem"}})
			c.Token = token
			for _, path := range []string{"/healthz", "/metrics", "/-/healthy", "/nothing"} {
				r := request(t, http.MethodGet, path)
				if tt.authorization != "" {
					r.Header.Set("Authorization", tt.authorization)
				}
				answer := ask(t, c, r)
				want := tt.status
				if path == "/nothing" && want == http.StatusOK {
					want = http.StatusNotFound
				}
				if answer.StatusCode != want {
					t.Errorf("%s answers %d, want %d", path, answer.StatusCode, want)
				}
				said := body(t, answer)
				if want != http.StatusUnauthorized {
					continue
				}
				if answer.Header.Get("WWW-Authenticate") == "" {
					t.Error("it does not say how to sign in")
				}
				if strings.Contains(said, "a-problem") || strings.Contains(said, "duewatch_test") || strings.Contains(said, token) {
					t.Errorf("%s without a token answers %q", path, said)
				}
			}
		})
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	serve := func(t *testing.T, listen, token string) error {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what may be served ends at once and in good order
		c := config(web.Health{})
		c.Listen, c.Token = listen, token
		return listenAndServe(ctx, c)
	}
	tests := map[string]struct{ listen, token, says string }{
		"loopback":                      {"127.0.0.1:0", "", ""},
		"every address with a token":    {"0.0.0.0:0", token, ""},
		"every address without a token": {"0.0.0.0:0", "", "needs web.token"},
		"every address, not written":    {":0", "", "needs web.token"},
		"not an address":                {"nonsense", "", "web.listen: "},
		"not an address of this host":   {"192.0.2.1:0", token, "web.listen: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := serve(t, tt.listen, tt.token)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("Serve: %v", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("Serve says %v, want %q in it", err, tt.says)
			}
		})
	}
}

// A reader that does not read is not waited for: the daemon has to end in time.
func TestServeDoesNotWaitForASlowReader(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	asked, stopped := make(chan struct{}), make(chan error, 1)
	c := config(web.Health{})
	c.Listen = listen
	c.Health = func(ctx context.Context) web.Health {
		close(asked)
		<-ctx.Done() // until the server gives it up
		return web.Health{}
	}
	go func() { stopped <- listenAndServe(ctx, c) }()

	dial := time.NewTicker(10 * time.Millisecond)
	defer dial.Stop()
	var conn net.Conn
	for conn == nil {
		select {
		case <-dial.C:
			conn, _ = net.Dial("tcp", listen)
		case err := <-stopped:
			t.Fatalf("Serve: %v", err)
		}
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	end()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve waits for a reader")
	}
}

func listenAndServe(ctx context.Context, c web.Config) error {
	l, err := web.Listen(context.WithoutCancel(ctx), c)
	if err != nil {
		return err
	}
	return web.Serve(ctx, l, c)
}
