package reminder

import (
	"time"
)

// StalePolicy says what to do when a text is due and Almara Pay cannot say
// what is owed.
type StalePolicy string

// What to do about a balance that cannot be refreshed.
const (
	StaleHold          StalePolicy = "hold"                // wait, and ask again while still useful
	StaleWithoutAmount StalePolicy = "send_without_amount" // text, naming no amount
	StaleSkip          StalePolicy = "skip"                // let the stage pass
)

// Policy is how reminders are sent for the bills of one service: the
// `reminders:` section of the config with the service's own overrides on top.
// It is read-only once built, and shared between goroutines.
type Policy struct {
	ServiceName string // as worded in texts; "" = they name no service
	Pay         string // how to pay the service, as worded in texts; "" = they do not say
	Zone        *time.Location
	Currency    string

	Stages         []Stage // ascending, without repeats
	SendAt         Clock
	Window         Window
	SkipWeekdays   []time.Weekday
	Holidays       map[Date]bool
	MinBalance     Money // less than this is not worth a text
	MaxBalanceAge  time.Duration
	StaleBalance   StalePolicy
	PerNumberDaily int // texts to one phone in one calendar day, over all its bills

	Bundle     bool // whether a bill may share a text with others of its phone
	BundleDays int  // by how many days a stage may come early for that

	Language    string // of bills that name none
	Templates   Templates
	MaxSegments int // of one text

	Guards Guards // the same for all services
}

// Policies finds the policy of a service.
type Policies struct {
	Default   *Policy
	ByService map[string]*Policy
}

// For returns the policy for the bills of a service. A service that the config
// does not name has the default one, and no name in its texts.
func (p Policies) For(service string) *Policy {
	if q, ok := p.ByService[service]; ok {
		return q
	}
	return p.Default
}

// Name is what to call a service in front of an operator: its name in texts,
// or else its id.
func (p Policies) Name(service string) string {
	if name := p.For(service).ServiceName; name != "" {
		return name
	}
	return service
}

// Mode says how far a text may go.
type Mode string

// The modes of the notifier.
const (
	ModeOff       Mode = "off"       // nothing leaves; what would have been sent is logged
	ModeAllowlist Mode = "allowlist" // only listed phones are texted
	ModeRedirect  Mode = "redirect"  // every text goes to one phone of the operator's
	ModeLive      Mode = "live"
)

// Delivery says where texts may go: the guard against texting real people
// from a trial.
type Delivery struct {
	Mode       Mode
	Allowlist  map[Phone]bool
	RedirectTo Phone
}

// To returns the phone that a text for p goes to, or the reason why it is
// held. An unknown mode holds: silence is the safe mistake.
func (d Delivery) To(p Phone) (Phone, Reason) {
	switch d.Mode {
	case ModeLive:
		return p, ""
	case ModeAllowlist:
		if d.Allowlist[p] {
			return p, ""
		}
		return "", NotOnAllowlist
	case ModeRedirect:
		return d.RedirectTo, ""
	default:
		return "", ModeIsOff
	}
}

// silent reports whether texts may not leave on day d.
func (p *Policy) silent(d Date) bool {
	if p.Holidays[d] {
		return true
	}
	w := d.Weekday()
	for _, s := range p.SkipWeekdays {
		if s == w {
			return true
		}
	}
	return false
}

// minValidity is the shortest time before the window's end at which a text
// may still leave: the provider needs a moment to pass it on.
const minValidity = time.Minute

// OpenAt reports whether a text may leave at t.
func (p *Policy) OpenAt(t time.Time) bool {
	local := t.In(p.Zone)
	day := DateOf(local)
	if p.silent(day) || !p.Window.Contains(ClockOf(local)) && !p.movedOpen(day, t) {
		return false
	}
	end := p.closesAt(t)
	return end.IsZero() || end.Sub(t) >= minValidity
}

// movedOpen reports whether t lies in the part of the day's window that a
// change to summer time has moved.
func (p *Policy) movedOpen(day Date, t time.Time) bool {
	_, _, to := p.leftOut(day)
	return to > 0 && !t.Before(day.At(p.Window.From, p.Zone)) && t.Before(p.closes(day))
}

// closes is the end of the day's window. The part of a window that a change to
// summer time leaves out moves forward with the clocks, as a time in it does by
// Date.At: else a window that lies in the hour left out would not open at all on
// that day, and one that begins in it would lose what is left out.
func (p *Policy) closes(day Date) time.Time {
	end := day.At(p.Window.To, p.Zone)
	if change, from, to := p.leftOut(day); to > 0 {
		if moved := change.Add(time.Duration(min(to, p.Window.To)-from) * time.Minute); moved.After(end) {
			return moved
		}
	}
	return end
}

// leftOut is the time of day, if any, that a change to summer time leaves out of
// the day's window, and the instant of that change; to is zero where there is none.
func (p *Policy) leftOut(day Date) (change time.Time, from, to Clock) {
	change, _ = day.At(p.Window.To, p.Zone).ZoneBounds()
	if change.IsZero() || DateOf(change) != day {
		return time.Time{}, 0, 0 // as on almost every day
	}
	_, before := change.Add(-time.Second).Zone()
	_, after := change.Zone()
	to = ClockOf(change)
	from = to - Clock((after-before)/60)
	if from >= to || p.Window.From >= to || p.Window.To <= from {
		return time.Time{}, 0, 0 // the clocks were set back, or not in the window
	}
	return change, from, to
}

// closesAt is the end of the window that is open at t; zero when it does not
// end that day.
func (p *Policy) closesAt(t time.Time) time.Time {
	day := p.dayOf(t)
	if p.Window.To == endOfDay && !p.silent(day.AddDays(1)) && p.Window.From == 0 {
		return time.Time{}
	}
	return p.closes(day)
}

// maxValidity is the longest validity Twilio takes (Messaging API, Create a
// Message, ValidityPeriod: 1 to 36000 seconds).
const maxValidity = 10 * time.Hour

// Validity is how long the provider may keep trying to deliver a text handed
// over at t: to the end of the window, at most ten hours.
func (p *Policy) Validity(t time.Time) time.Duration {
	end := p.closesAt(t)
	if end.IsZero() || end.Sub(t) > maxValidity {
		return maxValidity
	}
	return end.Sub(t).Truncate(time.Second)
}

// dayOf is the calendar day of an instant in the policy's zone.
func (p *Policy) dayOf(t time.Time) Date { return DateOf(t.In(p.Zone)) }

// NextDay is when a text may leave that must not leave on the day of t any more:
// at the hour of sending of the next day, or the first open instant after that.
func (p *Policy) NextDay(t time.Time) time.Time {
	return p.NextOpen(p.dayOf(t).AddDays(1).At(p.SendAt, p.Zone))
}

// NextOpen is the first instant at or after t at which a text may leave. It
// is zero when the policy leaves no day open for a year, which the config
// loader refuses.
func (p *Policy) NextOpen(t time.Time) time.Time {
	if p.OpenAt(t) {
		return t
	}
	today := p.dayOf(t)
	for i := range 366 {
		day := today.AddDays(i)
		if p.silent(day) {
			continue
		}
		if open := day.At(p.Window.From, p.Zone); !open.Before(t) && p.OpenAt(open) {
			return open
		}
	}
	return time.Time{}
}
