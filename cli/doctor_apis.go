package cli

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"duewatch/almara"
	"duewatch/daemon"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// almara signs in, and looks up one bill that is saved there: a read, which
// changes nothing.
func (d *doctor) almara(ctx context.Context) []finding {
	const part = "almara"
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	mine := *d.cfg
	cfg := &mine.Almara
	cfg.RecheckWith, cfg.Timeout = almara.RecheckLookup, askPatience
	c, err := daemon.Parts{Now: d.app.now, Transport: d.clocks}.NewAlmara(&mine)
	if err != nil {
		return found(levelFix, part, "%s", reason(err))
	}
	if err := c.SignIn(ctx); err != nil {
		return found(levelFix, part, "no token from %s: %s", cfg.BaseURL, whyNoAnswer(err))
	}
	out := found(levelOK, part, "%s gives a token", cfg.BaseURL)
	if cfg.SharePhone {
		out.add(levelNote, part, "it is given the customers' phones, and may text them of due dates by itself: "+
			"ask Almara Pay, or set almara.share_phone to false")
	}
	b, err := d.knownBill(ctx)
	switch {
	case err != nil:
		return out.add(levelFix, part, "no bill can be looked up, since the store cannot be read: %s", reason(err))
	case b == nil:
		return out.add(levelNote, part, "no bill is saved there yet, so none was looked up")
	}
	answer, err := c.Recheck(ctx, *b)
	var rejected *almara.RejectedError
	switch {
	case errors.As(err, &rejected):
		return out.add(levelNote, part, "it answers, but not about account %s: %s", b.Account, rejected.Reason)
	case err != nil:
		return out.add(levelFix, part, "account %s cannot be looked up: %s", b.Account, whyNoAnswer(err))
	}
	due := "its due date is not known"
	if !answer.DueDate.IsZero() {
		due = "due " + answer.DueDate.String()
	}
	return out.add(levelOK, part, "account %s was looked up: %s", b.Account, due)
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// knownBill is a bill that was registered; nil when there is none.
func (d *doctor) knownBill(ctx context.Context) (*reminder.Bill, error) {
	if d.store == nil {
		return nil, nil // no store, no bill
	}
	var b *reminder.Bill
	err := d.store.Bills(ctx, store.BillFilter{State: reminder.BillActive}, func(w store.Watched) error {
		b = &w.Bill
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return b, err
}

// whyNoAnswer words an error, and says of a time-out what to check.
func whyNoAnswer(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + askPatience.String() + ": is the address right, and the network up?"
	}
	return reason(err)
}

// twilio asks for the account and, where Twilio knows it, the sender.
func (d *doctor) twilio(ctx context.Context) []finding {
	const part = "twilio"
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	t := d.cfg.Notifier.Twilio
	if d.cfg.Delivery.Mode == reminder.ModeOff && (t.AccountSID == "" || t.AuthToken == "" && t.APIKeySecret == "") {
		return found(levelNote, part, "no account is configured, and none is needed while notifier.mode is off")
	}
	mine := *d.cfg
	mine.Notifier.Timeout = askPatience
	n, err := daemon.Parts{Transport: d.clocks}.NewNotifier(&mine)
	if err != nil {
		return found(levelFix, part, "%s", reason(err))
	}
	account, err := n.Account(ctx)
	switch {
	case errors.Is(err, notifier.ErrStop):
		return found(levelFix, part, "account %s is refused (%s): check account_sid and auth_token or the API key", t.AccountSID, reason(err))
	case err != nil:
		return found(levelFix, part, "no answer about account %s: %s; is the network up?", t.AccountSID, reason(err))
	case !account.Active:
		return found(levelFix, part, "account %s is %s: see the Twilio console", t.AccountSID, cmp.Or(account.Status, "not active"))
	}
	out := found(levelOK, part, "account %s is active", t.AccountSID)
	if account.Trial {
		level := levelNote
		if d.cfg.Delivery.Mode == reminder.ModeLive {
			level = levelFix
		}
		out.add(level, part, "it is a trial account, which texts verified numbers only: upgrade it in the Twilio console for mode live")
	}
	return append(out, sender(ctx, n, t.From, t.MessagingServiceSID)...)
}

func sender(ctx context.Context, n *notifier.Notifier, from, service string) []finding {
	const part = "sender"
	switch {
	case service != "":
		return found(levelNote, part, "messaging service %s: only the console and the first text show "+
			"whether it has a sender for your customers", service)
	case from == "":
		return found(levelNote, part, "none is configured")
	case !strings.HasPrefix(from, "+"):
		return found(levelNote, part, "%s: a name or short code cannot be looked up; "+
			"only the console and the first text show whether it is registered", from)
	}
	number := reminder.Phone(from)
	owned, texts, err := n.Owns(ctx, number)
	switch {
	case err != nil:
		return found(levelFix, part, "%s cannot be looked up: %s", number, reason(err))
	case !owned:
		return found(levelFix, part, "%s is no number of this account: write one that is in notifier.twilio.from", number)
	case !texts:
		return found(levelFix, part, "%s cannot send texts: choose a number that can", number)
	}
	return found(levelOK, part, "%s is a number of this account, and can text", number)
}

// clocks passes requests on and notes what the clocks of those who answer show.
type clocks struct {
	now func() time.Time

	mu    sync.Mutex
	ahead map[string]time.Duration // of ours, by host
}

// maxSkew is more than a Date header and a slow answer account for.
const maxSkew = 30 * time.Second

// RoundTrip makes the request.
func (c *clocks) RoundTrip(r *http.Request) (*http.Response, error) {
	began := c.now()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	ended := c.now()
	if theirs, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ahead == nil {
			c.ahead = map[string]time.Duration{}
		}
		middle := began.Add(ended.Sub(began) / 2)
		c.ahead[r.URL.Host] = middle.Sub(theirs.Add(500 * time.Millisecond)) // its fraction was cut off
	}
	return res, nil
}

// clock compares this machine's clock with those that answered.
func (d *doctor) clock() []finding {
	const part = "clock"
	if len(d.clocks.ahead) == 0 {
		return found(levelNote, part, "nobody answered whose clock this one could be compared with")
	}
	var out findings
	for host, ahead := range d.clocks.ahead {
		if ahead.Abs() > maxSkew {
			word := "ahead of"
			if ahead < 0 {
				word = "behind"
			}
			out.add(levelFix, part, "this machine is %s %s %s: texts would leave at the wrong hour; "+
				"set the clock by NTP (timedatectl set-ntp true)", ahead.Abs().Round(time.Second), word, host)
		}
	}
	if out == nil {
		return found(levelOK, part, "agrees with those who answered")
	}
	return out
}
