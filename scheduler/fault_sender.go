package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// senderEvidence gathers what refusals say against the sender. It is safe for
// concurrent use.
type senderEvidence struct {
	home string // calling code of the operator's own country; "" = every country counts as it

	mu         sync.Mutex
	refused    witnesses                     // phones of the own country, at create
	lateFaults witnesses                     // the same, after acceptance
	abroad     map[string]*reminder.Evidence // phones of other countries, by calling code
	unclear    reminder.Evidence             // phones refused for a reason that nobody knows
}

// witnesses are phones of the own country that speak against the sender.
type witnesses struct {
	// since is, for each phone, the creation of its text that met the fault; zero where
	// what comes later is later.
	since map[reminder.Phone]time.Time
	// spent are phones that were the evidence for a stop, as since. When another phone
	// is served well after it, they were not right: those are refuted, and speak for
	// themselves alone from then on.
	spent   map[reminder.Phone]time.Time
	refuted map[reminder.Phone]bool
	good    time.Time // creation of the latest text that fared well, where that is known
}

// against returns the phones once there are enough of them, and begins anew: the
// next stop takes other evidence than that of the last. A text says nothing when
// one that was created with it or later fared well.
func (w *witnesses) against(p reminder.Phone, created time.Time) (enough []reminder.Phone) {
	if w.refuted[p] || !w.good.IsZero() && !created.After(w.good) {
		return nil
	}
	if w.since == nil {
		w.since, w.spent, w.refuted = make(map[reminder.Phone]time.Time), make(map[reminder.Phone]time.Time), make(map[reminder.Phone]bool)
	}
	w.since[p] = created
	if len(w.since) < reminder.EnoughWitnesses {
		return nil
	}
	enough = slices.Sorted(maps.Keys(w.since))
	maps.Copy(w.spent, w.since)
	clear(w.since)
	return enough
}

// served notes a phone for which all went well with a text: what was created before
// it, or in the same round, speaks against the sender no more.
func (w *witnesses) served(p reminder.Phone, created time.Time) {
	if created.After(w.good) {
		w.good = created
	}
	before := func(_ reminder.Phone, failed time.Time) bool { return !failed.After(created) }
	maps.DeleteFunc(w.since, before)
	maps.DeleteFunc(w.spent, func(spent reminder.Phone, failed time.Time) bool {
		if before(spent, failed) {
			w.refuted[spent] = true
		}
		return before(spent, failed)
	})
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
	e.unclear.Clear()
	if country := e.country(p); country != "" { // judged by its own phones alone
		delete(e.abroad, country)
	} else {
		e.refused.served(p, time.Time{})
	}
}

// destinationRefused notes that one was refused. It returns the destinations that this
// speaks for, or, where it speaks for the sender, the phones that say so.
func (e *senderEvidence) destinationRefused(p reminder.Phone) (refused []string, against []reminder.Phone) {
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
	if against := e.refused.against(p, time.Time{}); against != nil {
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

// sentProves is the age at which a text that the provider still calls sent speaks for
// the sender: a route without delivery receipts never says more. The codes that speak
// against the sender come minutes after acceptance, until when such a text is called
// sent as well. It is one of receiptAges.
const sentProves = 15 * time.Minute

// receipt takes in what the provider says at an instant of a text that it took. It
// returns the phones that speak against the sender once there are enough; a fault
// of the sender that stands already needs none. What speaks for it is a text that was created no earlier than those of the witnesses, to a
// phone of the own country: texts that are accepted meanwhile may fail as theirs did.
func (e *senderEvidence) receipt(r store.Receipt, now time.Time) (against []reminder.Phone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.country(r.SentTo) != "" {
		return nil
	}
	switch {
	case r.State == store.Delivered, r.State == store.Sent && now.Sub(r.AcceptedAt) >= sentProves:
		e.lateFaults.served(r.SentTo, r.CreatedAt)
	case r.Why == reminder.AccountFault:
	case (r.State == store.Undelivered || r.State == store.Failed) && twilioScopeLater(notifier.ClassOf(r.Code)) == forSenderIfOthersAgree:
		return e.lateFaults.against(r.SentTo, r.CreatedAt)
	}
	return nil
}

// notWritten takes back phones that receipt returned, where the stop could not be written: with the
// next that says the same they speak again.
func (e *senderEvidence) notWritten(against []reminder.Phone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := &e.lateFaults
	for _, p := range against {
		if failed, ok := w.spent[p]; ok { // not refuted meanwhile
			w.since[p] = failed
			delete(w.spent, p)
		}
	}
}

// judgeScope takes in what became of a text that was handed over, and completes its
// outcome by what that speaks for. The error is a *stoppedError when it speaks for all
// texts.
func (s *Scheduler) judgeScope(t *store.Text, r notifier.Result, o *store.SendOutcome, now time.Time) error {
	if r.Outcome == notifier.Accepted {
		s.againstSender.accepted(t.To)
		return nil
	}
	why := describedError{o.Error, r.Err}
	redirected := s.Delivery.Mode == reminder.ModeRedirect
	switch speaks := twilioScope(r); {
	case speaks == forAll, redirected && r.Class == notifier.SlowDownPhone:
		return &stoppedError{reason: o.Hold, until: o.Until, err: why}
	case redirected && (speaks == forPhone || speaks == forSenderIfOthersAgree):
		// The one phone that all texts go to: no customer is to blame for it, and
		// the next text would fare no better.
		return stopForSender(o, nil, fmt.Errorf("notifier.redirect_to: %w", why), now)
	case speaks == forSenderIfOthersAgree:
		refused, against := s.againstSender.destinationRefused(t.To)
		if against != nil {
			return stopForSender(o, against, fmt.Errorf("%d different phones of the own country were refused, with no text accepted in between: %w",
				len(against), why), now)
		}
		if o.State == store.Refused {
			o.Destinations = refused
		}
	case speaks == forAllIfOthersAgree && o.Hold != reminder.TryApart:
		if s.againstSender.unknownReason(s.witness(t.To, t.Parts[0].Service, t.Parts[0].Account)) {
			return &stoppedError{reason: reminder.RefusalUnclear, until: now.Add(retryUnclear), err: why}
		}
	}
	return nil
}

// witness names who speaks by what a text meets: its phone, or its bill where all texts
// go to one phone, which would never be several.
func (s *Scheduler) witness(to reminder.Phone, service, account string) string {
	if s.Delivery.Mode == reminder.ModeRedirect {
		return service + " " + account
	}
	return to.E164()
}

// stopForSender stops sending for a fault of the sender, which phones say by their
// refusals, and has a text that the provider refused for it wait for the end.
func stopForSender(o *store.SendOutcome, phones []reminder.Phone, why error, now time.Time) *stoppedError {
	stopped := &stoppedError{reason: reminder.AccountFault, until: now.Add(retryAccount), err: why, against: phones}
	if o.State == store.Refused {
		o.Skip, o.OptOut, o.Hold, o.Until = "", "", stopped.reason, stopped.until
	}
	return stopped
}

// describedError is an error of the provider with what it asks for, in words.
type describedError struct {
	words string
	err   error
}

func (e describedError) Error() string { return e.words }
func (e describedError) Unwrap() error { return e.err }
