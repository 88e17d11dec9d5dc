// Package alerts tells the operator what is wrong without being asked: it sends
// messages to service URLs (mail, Telegram, Slack, ntfy, webhooks), remembers what each
// of them has been told, and calls a heartbeat URL.
//
// It promises that
//
//   - no error and no name that it returns shows more of a URL than its scheme and its
//     host: everything else in it is a secret;
//   - no call takes longer than its time-out, and a service that hangs occupies a bounded
//     number of goroutines;
//   - what could not be sent is sent later, as it is then; nothing is marked as told
//     before the service has taken it. A message may come twice where the answer of a
//     service was lost, and never gets lost.
//
// It decides nothing about what is a problem, and knows nothing of bills, phones or the
// store: the daemon gives it sentences and keeps its memory (Teller.Memory). It is the
// only user of the library for service URLs.
package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// Message is what is sent to a service. Both parts are plain text.
type Message struct {
	Title string // one line, in ASCII: it becomes the subject of a mail
	Body  string
}

// maxBody bounds a message, in bytes: Telegram and ntfy take 4,096 with the title.
const maxBody = 3500

// patience is how long a service may take to take a message.
const patience = 30 * time.Second

// grace is how long a message under way may still take when the daemon ends or reloads:
// one that was taken without being known to be is sent again.
const grace = time.Second

// maxHanging is how many messages to one service may wait for an answer at a time. The
// library cannot be told to give up, so one that is given up here goes on there until the
// connection ends.
const maxHanging = 4

var (
	errTimeout = fmt.Errorf("no answer within %s", patience)
	errHanging = fmt.Errorf("%d earlier messages still wait for an answer", maxHanging)
)

// Destination is one service URL.
type Destination struct {
	name    string
	raw     string
	about   service
	redact  redactor
	waiting chan struct{} // a place for each message under way
}

// New reads a service URL, such as telegram://token@telegram?chats=1. It calls nobody. Its
// error says what is wrong without repeating the URL.
func New(raw string) (*Destination, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("is not a service URL: write one such as ntfy://ntfy.sh/topic, smtp://user:password@host:587/?from=a&to=b " +
			"or generic+https://host/path, with special characters of a password written as %xx")
	}
	scheme, _, _ := strings.Cut(strings.ToLower(u.Scheme), "+")
	about, known := services[scheme]
	if !known {
		return nil, fmt.Errorf("has the scheme %.20q, which is none of %s", u.Scheme, serviceNames())
	}
	d := &Destination{name: u.Scheme + "://", raw: raw, about: about, waiting: make(chan struct{}, maxHanging)}
	host := ""
	if about.host {
		host = u.Host
		d.name += host
	}
	d.redact = newRedactor(raw, u.Scheme, host)
	if about.asksAtOnce {
		return d, nil
	}
	if _, err := d.open(); err != nil {
		return nil, fmt.Errorf("is no URL of %s: %w", scheme, d.redact.err(err))
	}
	return d, nil
}

// Name is the scheme of the URL, with the host where that is a server and no secret.
func (d *Destination) Name() string { return d.name }

// open makes the library's client. Each message gets one of its own, since it keeps what
// it was given for the last one.
func (d *Destination) open() (types.Service, error) {
	u, err := url.Parse(d.raw) // each time, since the library changes it
	if err != nil {
		return nil, err
	}
	scheme, _, custom := strings.Cut(u.Scheme, "+")
	s, err := new(router.ServiceRouter).NewService(scheme)
	if err != nil {
		return nil, err
	}
	if custom {
		by, ok := s.(types.CustomURLService)
		if !ok {
			return nil, fmt.Errorf("%s takes no other scheme behind a plus", scheme)
		}
		if u, err = by.GetConfigURLFromCustom(u); err != nil {
			return nil, err
		}
	}
	return s, s.Initialize(u, nil)
}

// Send hands a message to the service, and returns nil when the service has taken it. It
// ends soon after ctx does, or when no answer has come after patience.
func (d *Destination) Send(ctx context.Context, m Message) error {
	select {
	case d.waiting <- struct{}{}:
	default:
		return errHanging
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // in the library: an alert must not end the daemon
				done <- fmt.Errorf("panic: %v", p)
			}
			<-d.waiting
		}()
		done <- d.send(m)
	}()
	giveUp := time.NewTimer(patience)
	defer giveUp.Stop()
	select {
	case err := <-done:
		return d.redact.err(err)
	case <-giveUp.C:
		return errTimeout
	case <-ctx.Done():
	}
	last := time.NewTimer(grace)
	defer last.Stop()
	select {
	case err := <-done:
		return d.redact.err(err)
	case <-last.C:
		return ctx.Err()
	}
}

func (d *Destination) send(m Message) error {
	s, err := d.open()
	if err != nil {
		return err
	}
	title, body := oneLine(m.Title), cut(m.Body, maxBody)
	params := types.Params{}
	if d.about.takesTitle(d.raw) {
		params.SetTitle(title)
	} else {
		body = title + "\n" + body
	}
	return s.Send(body, &params)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// cut shortens a text at the end of a line, or where it has none.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const more = "\n(cut off: duewatch doctor has the rest)"
	s = strings.ToValidUTF8(s[:most-len(more)], "")
	if end := strings.LastIndexByte(s, '\n'); end > 0 {
		s = s[:end]
	}
	return s + more
}

// Named gives each of several destinations with one name a number. Call it once, with all.
func Named(all []*Destination) {
	of, seen := map[string]int{}, map[string]int{}
	for _, d := range all {
		of[d.name]++
	}
	for _, d := range all {
		name := d.name
		if seen[name]++; of[name] > 1 {
			d.name = fmt.Sprintf("%s (%d)", name, seen[name])
		}
	}
}
