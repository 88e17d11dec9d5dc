package scheduler

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// What an answer of the provider speaks for is decided here, and nowhere else: for
// one text or phone, or for the account, the sender and the connection that all
// texts share. One answer speaks for what is shared only where it says so itself;
// what it says of a destination speaks for the sender when several different ones
// say it, with nothing accepted between.

// scopeAtCreate is what the answer to a text that was handed over speaks for.
func scopeAtCreate(r notifier.Result) scope {
	switch r.Class {
	case notifier.Account, notifier.SlowDown, notifier.UntilTomorrow:
		return forAll
	case notifier.Destination:
		return forSenderIfOthersAgree
	case notifier.Unlisted:
		return forAllIfOthersAgree
	case notifier.BadNumber, notifier.OptedOut, notifier.SlowDownPhone:
		return forPhone
	case notifier.BadText, notifier.TryLater, notifier.TryOnce, notifier.MaybeHasIt:
		return forItself
	}
	switch r.Outcome {
	case notifier.Accepted, notifier.Unknown:
		return forItself
	case notifier.Refused, notifier.Throttled, notifier.NotSent:
	}
	return forAll // nobody could be reached, or the guard of the notifier stands in the way
}

// scopeLate is what an error code that a text gets after it was accepted speaks
// for. A network that asks to slow down then has lost this text, and no more.
func scopeLate(c notifier.Class) scope {
	switch c {
	case notifier.Account:
		return forAll
	case notifier.Destination:
		return forSenderIfOthersAgree
	case notifier.BadNumber, notifier.OptedOut, notifier.SlowDownPhone:
		return forPhone
	case notifier.BadText, notifier.TryLater, notifier.TryOnce, notifier.MaybeHasIt,
		notifier.SlowDown, notifier.UntilTomorrow, notifier.Unlisted:
	}
	return forItself
}

// senderEvidence gathers what refusals say against the sender. It is safe for
// concurrent use.
type senderEvidence struct {
	home string // calling code of the operator's own country; "" = every country counts as it

	mu      sync.Mutex
	refused witnesses                     // phones of the own country, at create
	late    witnesses                     // the same, after acceptance
	abroad  map[string]*reminder.Evidence // phones of other countries, by calling code
	unclear reminder.Evidence             // phones refused for a reason that nobody knows
}

// witnesses are phones of the own country that speak against the sender.
type witnesses struct {
	evidence reminder.Evidence
	phones   []reminder.Phone
	// spent are phones that were the evidence for a stop. When another phone is
	// served well after it, they were not right: those are refuted, and speak for
	// themselves alone from then on.
	spent, refuted map[reminder.Phone]bool
}

// against returns the phones once there are enough of them, and begins anew: the
// next stop takes other evidence than that of the last.
func (w *witnesses) against(p reminder.Phone) (enough []reminder.Phone) {
	if w.refuted[p] {
		return nil
	}
	if !slices.Contains(w.phones, p) {
		w.phones = append(w.phones, p)
	}
	if !w.evidence.Against(p.E164()) {
		return nil
	}
	enough = w.phones
	w.evidence.Clear()
	w.phones = nil
	if w.spent == nil {
		w.spent, w.refuted = make(map[reminder.Phone]bool), make(map[reminder.Phone]bool)
	}
	for _, p := range enough {
		w.spent[p] = true
	}
	return enough
}

// served notes a phone for which all went well.
func (w *witnesses) served(p reminder.Phone) {
	w.evidence.Clear()
	w.phones = nil
	for spent := range w.spent {
		w.refuted[spent] = true
	}
	clear(w.spent)
	delete(w.refuted, p)
}

func newSenderEvidence(country string) *senderEvidence {
	return &senderEvidence{home: reminder.CallingCodeOf(country), abroad: make(map[string]*reminder.Evidence)}
}

// country is the calling code of a phone of another country; "" = of the own.
func (e *senderEvidence) country(p reminder.Phone) string {
	code := p.CallingCode()
	if e.home == "" || code == "" || code == e.home {
		return ""
	}
	return code
}

// accepted forgets what was said before the provider took a text to a phone.
func (e *senderEvidence) accepted(p reminder.Phone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused.served(p)
	e.unclear.Clear()
	if len(e.abroad) > 0 { // a country is judged by its own phones alone
		delete(e.abroad, e.country(p))
	}
}

// destination notes that one was refused. It returns the destinations that this
// speaks for, or, where it speaks for the sender, the phones that say so.
func (e *senderEvidence) destination(p reminder.Phone) (refused []string, against []reminder.Phone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if code := e.country(p); code != "" {
		if e.abroad[code] == nil {
			e.abroad[code] = new(reminder.Evidence)
		}
		if e.abroad[code].Against(p.E164()) {
			return []string{p.E164(), code}, nil
		}
		return []string{p.E164()}, nil
	}
	if against := e.refused.against(p); against != nil {
		return nil, against
	}
	return []string{p.E164()}, nil
}

// unknownReason notes a refusal for a reason that nobody knows, of a phone, and
// reports whether enough different ones were refused so.
func (e *senderEvidence) unknownReason(witness string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.unclear.Against(witness) {
		return false
	}
	e.unclear.Clear()
	return true
}

// failedLate notes what became of a text after it was accepted. It returns the
// phones that speak against the sender once there are enough.
func (e *senderEvidence) failedLate(r store.Receipt) (against []reminder.Phone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case r.State == store.Delivered:
		e.late.served(r.SentTo)
	case scopeLate(notifier.ClassOf(r.Code)) == forSenderIfOthersAgree && e.country(r.SentTo) == "":
		return e.late.against(r.SentTo)
	}
	return nil
}

// weigh takes in what became of a text that was handed over, and completes its
// outcome by what that speaks for. The error is a *halt when it speaks for all
// texts.
func (s *Scheduler) weigh(t *store.Text, r notifier.Result, o *store.Outcome, now time.Time) error {
	said := worded{o.Error, r.Err}
	kind := scopeAtCreate(r)
	redirected := s.Delivery.Mode == reminder.ModeRedirect
	switch {
	case r.Outcome == notifier.Accepted:
		s.sender.accepted(t.To)
		return nil
	case kind == forAll, redirected && r.Class == notifier.SlowDownPhone:
		return &halt{reason: o.Hold, until: o.Until, err: said}
	case redirected && (kind == forPhone || kind == forSenderIfOthersAgree):
		// The one phone that all texts go to: no customer is to blame for it, and
		// the next text would fare no better.
		h := &halt{reason: reminder.AccountFault, until: now.Add(retryAccount), err: fmt.Errorf("notifier.redirect_to: %w", said)}
		if o.State == store.Refused {
			o.Skip, o.Suppress, o.Hold, o.Until = "", "", h.reason, h.until
		}
		return h
	case kind == forSenderIfOthersAgree:
		refused, against := s.sender.destination(t.To)
		if against == nil {
			if o.State == store.Refused {
				o.Destinations = refused
			}
			return nil
		}
		h := &halt{
			reason: reminder.AccountFault, until: now.Add(retryAccount), evidence: against,
			err: fmt.Errorf("%d different phones of the own country were refused, with no text accepted in between: %w", len(against), said),
		}
		if o.State == store.Refused {
			o.Hold, o.Until = h.reason, h.until
		}
		return h
	case kind == forAllIfOthersAgree && o.Hold != reminder.TryApart:
		witness := t.To.E164()
		if redirected { // one phone for all: different bills speak
			witness = fmt.Sprint(t.Parts[0].BillID)
		}
		if s.sender.unknownReason(witness) {
			return &halt{reason: reminder.RefusalUnclear, until: now.Add(retryUnclear), err: said}
		}
	}
	return nil
}

// worded is an error of the provider with what it asks for, in words.
type worded struct {
	words string
	err   error
}

func (w worded) Error() string { return w.words }
func (w worded) Unwrap() error { return w.err }
