package alerts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"
)

// listener is a service on loopback that keeps what it is sent.
type listener struct {
	*httptest.Server

	mu     sync.Mutex
	bodies []string
	titles []string
	status int // 0 = 200
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.status != 0 {
			w.WriteHeader(l.status)
			_, _ = w.Write([]byte(`{"code": 1, "error": "not you, ` + r.URL.String() + `"}`))
			return
		}
		l.bodies = append(l.bodies, string(body))
		l.titles = append(l.titles, r.Header.Get("Title"))
		_, _ = w.Write([]byte(`{"id": "1"}`)) // as ntfy answers
	}))
	t.Cleanup(l.Close)
	return l
}

// host is the address of the listener.
func (l *listener) host() string { return strings.TrimPrefix(l.URL, "http://") }

func (l *listener) webhook() string { return "generic+" + l.URL + "/hook/s3cr3tpath?template=" }

func (l *listener) answer(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

// taken are the messages since the last call.
func (l *listener) taken() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.bodies
	l.bodies = nil
	return all
}

func destination(t *testing.T, raw string) *Destination {
	t.Helper()
	d, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAMessageArrivesAtEachKindOfService(t *testing.T) {
	m := Message{Title: "duewatch on host: 1 new problem", Body: "NEW: the store cannot be written"}
	l := listen(t)
	for name, tt := range map[string]struct{ url, title, body string }{
		"a webhook in plain text": {"generic+" + l.URL + "/hook", "", m.Title + "\n" + m.Body},
		"a webhook in JSON":       {"generic+" + l.URL + "/hook?template=json", "", `{"message":"` + m.Body + `","title":"` + m.Title + `"}`},
		"ntfy":                    {"ntfy://" + l.host() + "/topic?scheme=http", m.Title, m.Body},
	} {
		t.Run(name, func(t *testing.T) {
			l.titles = nil
			if err := destination(t, tt.url).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.body}, l.taken()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if l.titles[0] != tt.title {
				t.Errorf("title %q, want %q", l.titles[0], tt.title)
			}
		})
	}
}

// A message that a service would refuse for its length ends at a whole line.
func TestALongMessageIsCut(t *testing.T) {
	l := listen(t)
	long := strings.Repeat("a sentence about one of very many problems\n", 200)
	if err := destination(t, "ntfy://"+l.host()+"/topic?scheme=http").Send(t.Context(), Message{"title", long}); err != nil {
		t.Fatal(err)
	}
	got := l.taken()[0]
	if len(got) > maxBody || !strings.HasSuffix(got, "problems\n(cut off: duewatch doctor has the rest)") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-80:])
	}
}

// A new version of the library may bring services whose URLs differ: each has to be
// looked at before it is taken.
func TestEveryServiceOfTheLibraryIsKnown(t *testing.T) {
	left := []string{"hangouts", "logger"} // another name of googlechat; tells nobody
	for _, name := range new(router.ServiceRouter).ListServices() {
		if _, known := services[name]; known == slices.Contains(left, name) {
			t.Errorf("%s is known: %v", name, known)
		}
	}
	for name := range services {
		if _, err := new(router.ServiceRouter).NewService(name); err != nil {
			t.Errorf("the library does not have %s: %v", name, err)
		}
	}
}

func TestAnErrorSaysWhatIsWrongAndShowsNoSecret(t *testing.T) {
	for raw, says := range map[string]string{
		"hunter2hunter2": "is not a service URL",
		"smtp://user:pa ss%zzhunter2@mail.example":   "is not a service URL",
		"hunter2://mail.example":                     `has the scheme "hunter2"`,
		"logger://":                                  "none of bark, discord",
		"telegram://hunter2hunter2@telegram":         "is no URL of telegram: ",
		"ntfy://user:hunter2@ntfy.example":           "topic is required",
		"pushbullet://hunter2hunter2":                "is no URL of pushbullet: ",
		"ntfy://ntfy.example/hunter2?wrong=hunter2a": "is no URL of ntfy: ",
	} {
		_, err := New(raw)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q in it", raw, err, says)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") && !strings.HasPrefix(raw, "hunter2://") {
			t.Errorf("%s: the error shows the secret: %v", raw, err)
		}
	}
}

// Whatever a library or a server repeats of a URL, in whatever form, is taken out.
func TestErrorsAreRedacted(t *testing.T) {
	for raw, said := range map[string]string{
		"telegram://123456789:AAsecretsecret@telegram?chats=-100777":  "Post \"https://api.telegram.org/bot123456789:AAsecretsecret/sendMessage\": dial tcp: no route; chat -100777",
		"slack://hook:T0SECRETA-B0SECRETB-XXSECRETC@webhook":          "failed to invoke webhook: Post https://hooks.slack.com/services/T0SECRETA/B0SECRETB/XXSECRETC refused",
		"pushbullet://o.secretsecret":                                 "unexpected status for token o.secretsecret",
		"smtp://user%40a.example:p%2Bsecret%2Fword@mail.example:587/": "535 rejected user@a.example with p+secret/word and p%2Bsecret%2Fword",
		"ifttt://keysecret/?events=eventsecret":                       "https://maker.ifttt.com/trigger/eventsecret/with/key/keysecret: 401",
		"generic+https://hooks.example/secretpath?token=secrettoken":  `failed: Post "https://hooks.example/secretpath?token=secrettoken": EOF`,
	} {
		d := destinationOf(raw)
		got := d.text(said)
		for _, leak := range []string{"secret", "SECRET", "123456789", "100777"} {
			if strings.Contains(got, leak) {
				t.Errorf("%s: %q is in %q", raw, leak, got)
			}
		}
		if strings.Contains(raw, "hooks.example") && got != `failed: Post "https://hooks.example": EOF` {
			t.Errorf("the words around it are lost: %q", got)
		}
	}
}

func destinationOf(raw string) redactor {
	scheme, _, _ := strings.Cut(raw, "://")
	host := ""
	if strings.Contains(raw, "hooks.example") {
		host = "hooks.example"
	}
	return newRedactor(raw, scheme, host)
}

func TestARefusalIsReportedWithoutTheURL(t *testing.T) {
	l := listen(t)
	l.answer(http.StatusUnauthorized)
	for _, raw := range []string{l.webhook(), "ntfy://user:s3cr3tpassword@" + l.host() + "/s3cr3ttopic?scheme=http"} {
		err := destination(t, raw).Send(t.Context(), Message{"t", "b"})
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v", err)
		}
	}
	l.Close()
	if err := destination(t, l.webhook()).Send(t.Context(), Message{"t", "b"}); err == nil || strings.Contains(err.Error(), "s3cr3t") ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("of a host that is down: %v", err)
	}
}

// The host is shown where it is a server's, and nowhere else.
func TestNamesShowNoSecret(t *testing.T) {
	var all []*Destination
	for _, raw := range []string{
		"smtp://user:hunter2@mail.example:587/?from=a@a.example&to=b@b.example", "pushbullet://o.hunter2hunter2hunter2hunter2hunt",
		"ntfy://ntfy.sh/hunter2", "ntfy://ntfy.sh/hunter3", "generic+https://hooks.example/hunter2",
	} {
		d, err := New(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		all = append(all, d)
	}
	Named(all)
	var names []string
	for _, d := range all {
		names = append(names, d.Name())
	}
	want := []string{"smtp://mail.example:587", "pushbullet://", "ntfy://ntfy.sh (1)", "ntfy://ntfy.sh (2)", "generic+https://hooks.example"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A service that takes a connection and never answers is given up, and does not use up
// the process.
func TestAServiceThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	d := destination(t, "generic+"+server.URL)
	ctx, giveUp := context.WithCancel(t.Context())
	given := make(chan error, maxHanging)
	for range maxHanging {
		go func() { given <- d.Send(ctx, Message{"t", "b"}) }()
		<-arrived
	}
	giveUp()
	for range maxHanging {
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
	}
	if err := d.Send(t.Context(), Message{"t", "b"}); !errors.Is(err, errHanging) {
		t.Errorf("with %d hanging: %v", maxHanging, err)
	}
}

// A reload in the middle of a message waits for its answer: else it would be sent again.
func TestAMessageUnderWayIsTakenThoughTheDaemonEnds(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { end() }))
	defer server.Close()
	if err := destination(t, "generic+"+server.URL).Send(ctx, Message{"t", "b"}); err != nil {
		t.Errorf("it is not known to be taken: %v", err)
	}
}

func TestTheHeartbeatWantsA2xx(t *testing.T) {
	calls, status := 0, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if r.URL.Path != "/s3cr3tid" {
			t.Errorf("it calls %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	h, err := NewHeartbeat(server.URL + "/s3cr3tid")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Beat(t.Context()); err != nil || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	status = http.StatusNotFound
	if err := h.Beat(t.Context()); err == nil || !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("a 404 is %v", err)
	}
	server.Close()
	if err := h.Beat(t.Context()); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("of a host that is down: %v", err)
	}
	if h.Name() != server.URL {
		t.Errorf("its name is %s", h.Name())
	}
	for _, wrong := range []string{"", "hc-ping.com/hunter2", "ftp://a.example/hunter2", "https:///hunter2", "https://a b/hunter2"} {
		if _, err := NewHeartbeat(wrong); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

var night = time.Date(2026, 11, 29, 1, 0, 0, 0, time.UTC)
