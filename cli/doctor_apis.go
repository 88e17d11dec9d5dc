package cli

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"duewatch/almara"
	"duewatch/daemon"
	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// almara signs in, looks up one bill that is saved there, and asks for the services
// that there are: reads, which change nothing.
func (d *doctor) almara(ctx context.Context) []finding {
	const part = "almara"
	mine := *d.cfg
	cfg := &mine.Almara
	cfg.RecheckWith, cfg.Timeout = almara.RecheckLookup, askPatience
	c, err := daemon.Parts{Now: d.app.now, Transport: d.clocks}.NewAlmara(&mine)
	if err != nil {
		return found(levelFix, part, "%s", reason(err))
	}
	asking, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	if err := c.SignIn(asking); err != nil {
		return found(levelFix, part, "no token from %s: %s", cfg.BaseURL, whyNoAnswer(err))
	}
	out := found(levelOK, part, "%s gives a token", cfg.BaseURL)
	if cfg.SharePhone {
		out.add(levelNote, part, "it is given the customers' phones, and may text them of due dates by itself: "+
			"ask Almara Pay, or set almara.share_phone to false")
	}
	return slices.Concat(out, d.lookUp(asking, c), d.services(ctx, c))
}

// lookUp looks up one bill that is saved at Almara Pay.
func (d *doctor) lookUp(ctx context.Context, c *almara.Client) findings {
	const part = "almara"
	b, err := d.knownBill(ctx)
	switch {
	case err != nil:
		return found(levelFix, part, "no bill can be looked up, since the store cannot be read: %s", reason(err))
	case b == nil:
		return found(levelNote, part, "no bill is saved there yet, so none was looked up")
	}
	answer, err := c.Recheck(ctx, *b)
	var rejected *almara.RejectedError
	switch {
	case errors.As(err, &rejected):
		return found(levelNote, part, "it answers, but not about account %s: %s", b.Account, rejected.Reason)
	case err != nil:
		return found(levelFix, part, "account %s cannot be looked up: %s", b.Account, whyNoAnswer(err))
	}
	due := "its due date is not known"
	if !answer.DueDate.IsZero() {
		due = "due " + answer.DueDate.String()
	}
	return found(levelOK, part, "account %s was looked up: %s", b.Account, due)
}

// services compares the services of the config, and those of its bills, with what Almara
// Pay offers. It has a time of its own: an installation may have no such list, and
// the rest works without it.
func (d *doctor) services(ctx context.Context, c *almara.Client) findings {
	const part = "services"
	ids := slices.Sorted(maps.Keys(configuredServices(d.cfg)))
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	list, err := c.Services(ctx)
	if err != nil {
		return found(levelNote, part, "whether the services of the config are offered is not known: %s", whyNoAnswer(err))
	}
	ids = slices.DeleteFunc(ids, func(id string) bool {
		return slices.ContainsFunc(list.Services, func(s almara.Service) bool { return s.ID == id })
	})
	switch {
	case len(ids) == 0:
		return found(levelOK, part, "Almara Pay offers all services of the config")
	case len(list.Missing) > 0:
		return found(levelNote, part, "whether Almara Pay offers %s is not known: %s", strings.Join(ids, ", "), strings.Join(list.Missing, "; "))
	}
	missing := strings.Join(ids, ", ")
	if d.sandboxed {
		return found(levelNote, part, "the stand-in does not list %s, and takes bills of it all the same: "+
			"duewatch services has the real ones", missing)
	}
	return found(levelFix, part, "Almara Pay does not offer %s, so that bills of it may be rejected: "+
		"write an id that duewatch services lists", missing)
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
