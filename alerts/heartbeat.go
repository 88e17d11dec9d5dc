package alerts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// heartbeatPatience is how long an outside service may take to take a sign of life.
const heartbeatPatience = 10 * time.Second

// Heartbeat is a URL that an outside service expects to be called: when the calls stop,
// that service raises the alarm.
type Heartbeat struct {
	name   string
	url    string
	redact redactor
	client *http.Client
}

// NewHeartbeat reads the URL. Its error does not repeat it.
func NewHeartbeat(raw string) (*Heartbeat, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("is not a web address: write one such as https://hc-ping.com/your-id")
	}
	name := u.Scheme + "://" + u.Host
	return &Heartbeat{
		name: name, url: raw, redact: newRedactor(raw, u.Scheme, u.Host), client: &http.Client{Timeout: heartbeatPatience},
	}, nil
}

// Name is the scheme and host of the URL.
func (h *Heartbeat) Name() string { return h.name }

// Beat calls the URL once. It returns nil when the service has answered with a 2xx.
func (h *Heartbeat) Beat(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, http.NoBody)
	if err != nil {
		return h.redact.err(err)
	}
	r.Header.Set("User-Agent", "duewatch")
	answer, err := h.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return h.redact.err(err)
	}
	defer answer.Body.Close()
	const enough = 64 << 10 // to use the connection again
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, enough)); err != nil {
		return h.redact.err(err)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", h.redact.text(answer.Status))
	}
	return nil
}
