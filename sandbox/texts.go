package sandbox

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"duewatch/reminder"
)

// Recipients with an outcome of their own; every other number is delivered to.
const (
	PhoneStaysSent     reminder.Phone = "+254710000090" // sent, and no more is reported
	PhoneUnreachable   reminder.Phone = "+254710000091" // undelivered, 30003
	PhoneOptedOut      reminder.Phone = "+254710000092" // refused at create, 21610
	PhoneInvalid       reminder.Phone = "+254710000093" // refused at create, 21211
	PhoneUnknown       reminder.Phone = "+254710000094" // failed, 30005
	PhoneOptedOutLater reminder.Phone = "+254710000095" // failed, 21610: the carrier knew of the STOP
	PhoneFiltered      reminder.Phone = "+254710000096" // undelivered, 30007
	PhoneRegionRefused reminder.Phone = "+254710000097" // refused at create, 21408: the account may not text its country
	PhoneNeverLeaves   reminder.Phone = "+254710000098" // queued without end: date_sent stays null
)

// Twilio's names for the states of a text.
const (
	statusAccepted    = "accepted"
	statusQueued      = "queued"
	statusSent        = "sent"
	statusDelivered   = "delivered"
	statusUndelivered = "undelivered"
	statusFailed      = "failed"
)

// outcome is a status of Twilio's, and the error code that comes with it.
type outcome struct {
	status string
	code   int // 0 = none
}

// finalOutcome is how a text to a number ends.
func (s *Sandbox) finalOutcome(to string) outcome {
	if s.allReached {
		return outcome{statusDelivered, 0}
	}
	switch reminder.Phone(to) {
	case PhoneNeverLeaves:
		return outcome{statusQueued, 0}
	case PhoneStaysSent:
		return outcome{statusSent, 0}
	case PhoneUnreachable:
		return outcome{statusUndelivered, 30003}
	case PhoneFiltered:
		return outcome{statusUndelivered, 30007}
	case PhoneUnknown:
		return outcome{statusFailed, 30005}
	case PhoneOptedOutLater:
		return outcome{statusFailed, 21610}
	default:
		return outcome{statusDelivered, 0}
	}
}

// text is one accepted text. It never changes: its state is a function of its
// age. It is also its own form in the state file.
type text struct {
	SID      string    `json:"sid"`
	To       string    `json:"to"`
	From     string    `json:"from,omitempty"`
	Service  string    `json:"messaging_service_sid,omitempty"`
	Body     string    `json:"body"`
	Encoding string    `json:"encoding"`
	Segments int       `json:"segments"`
	Validity int       `json:"validity_seconds,omitempty"` // 0 = not said
	Callback string    `json:"status_callback,omitempty"`
	Created  time.Time `json:"created"`
}

// textState is what has become of a text at one moment.
type textState struct {
	outcome
	since time.Time
	sent  time.Time // zero = not yet
}

func (s *Sandbox) stateOf(t *text, now time.Time) textState {
	end := s.finalOutcome(t.To)
	leaves := t.Created.Add(s.sentAfter)
	arrives := t.Created.Add(s.deliverAfter)
	switch {
	case now.Before(leaves) || end.status == statusQueued:
		waiting := statusQueued
		if t.Service != "" {
			waiting = statusAccepted // until the service has chosen a sender
		}
		return textState{outcome{waiting, 0}, t.Created, time.Time{}}
	case end.status == statusFailed:
		return textState{end, leaves, leaves}
	case now.Before(arrives) || end.status == statusSent:
		return textState{outcome{statusSent, 0}, leaves, leaves}
	default:
		return textState{end, arrives, leaves}
	}
}

// Text is one accepted text as the recipient's phone and the operator see it.
type Text struct {
	SID       string         `json:"sid"`
	To        reminder.Phone `json:"to"` // masked when printed or marshalled
	From      string         `json:"from"`
	Body      string         `json:"body"`
	Encoding  string         `json:"encoding"`
	Segments  int            `json:"segments"`
	Status    string         `json:"status"`     // as Twilio names them
	ErrorCode int            `json:"error_code"` // 0 = none
	Validity  time.Duration  `json:"-"`          // ValidityPeriod; 0 = not said
	Callback  string         `json:"status_callback,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
}

func (s *Sandbox) public(t *text, now time.Time) Text {
	at := s.stateOf(t, now)
	from := t.From
	if t.Service != "" {
		from = From
	}
	return Text{
		SID: t.SID, To: reminder.Phone(t.To), From: from, Body: t.Body, Encoding: t.Encoding, Segments: t.Segments,
		Status: at.status, ErrorCode: at.code, Validity: time.Duration(t.Validity) * time.Second, Callback: t.Callback,
		CreatedAt: t.Created.In(s.zone),
	}
}

// Texts are the accepted texts, oldest first, in their present state.
func (s *Sandbox) Texts() []Text {
	s.mu.Lock()
	all := s.texts.all()
	s.mu.Unlock()
	now := s.now()
	out := make([]Text, len(all))
	for i, t := range all {
		out[i] = s.public(t, now)
	}
	return out
}

// textLog keeps the latest texts in the order they were accepted. Slices it
// hands out stay valid: texts are appended and cut off, never overwritten.
type textLog struct {
	max   int
	first uint64 // the number of list[0]
	list  []*text
	to    map[string][]*text // the same texts by recipient
}

func newTextLog(limit int) textLog { return textLog{max: limit, to: make(map[string][]*text)} }

func (l *textLog) all() []*text { return l.list[:len(l.list):len(l.list)] }

// sentTo lists the texts to one recipient.
func (l *textLog) sentTo(recipient string) []*text {
	list := l.to[recipient]
	return list[:len(list):len(list)]
}

// nextSID is random, as Twilio's are, except that its second half is the
// text's number, so that it is found without another index.
func (l *textLog) nextSID() string {
	return fmt.Sprintf("SM%016x%016x", rand.Uint64(), l.first+uint64(len(l.list)))
}

// numberOf is the number of a text that has this SID, if its form is right.
func numberOf(sid string) (uint64, bool) {
	if len(sid) != 34 || !strings.HasPrefix(sid, "SM") {
		return 0, false
	}
	n, err := strconv.ParseUint(sid[18:], 16, 64)
	return n, err == nil
}

// add keeps t, whose SID is nextSID's or, while loading, the next of the file.
func (l *textLog) add(t *text) {
	if len(l.list) == 0 {
		l.first, _ = numberOf(t.SID)
	}
	l.list = append(l.list, t)
	l.to[t.To] = append(l.to[t.To], t)
	if len(l.list) <= l.max {
		return
	}
	cut := len(l.list) - l.max + l.max/10 // a tenth more, so that not every new text copies the list
	for _, old := range l.list[:cut] {
		if rest := l.to[old.To][1:]; len(rest) > 0 {
			l.to[old.To] = rest
		} else {
			delete(l.to, old.To)
		}
	}
	l.list = append(make([]*text, 0, l.max+1), l.list[cut:]...)
	l.first += uint64(cut)
}

func (l *textLog) get(sid string) (*text, bool) {
	n, ok := numberOf(sid)
	if !ok || n < l.first || n-l.first >= uint64(len(l.list)) {
		return nil, false
	}
	t := l.list[n-l.first]
	return t, t.SID == sid
}
