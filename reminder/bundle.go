package reminder

import (
	"cmp"
	"slices"
	"time"
)

// The bounds of a bundle.
const (
	MaxBundleDays       = 7  // of Policy.BundleDays
	MaxBundleCandidates = 20 // other bills of the phone that are decided about for one text
)

// BundleItem is one bill and what is decided about it.
type BundleItem struct {
	*Case
	Decision
}

// Bundle is what is decided about a bill, the lead, together with other bills of its
// phone.
type Bundle struct {
	// Ask are the bills to ask Almara Pay about before anything is decided.
	// Nothing else is set then.
	Ask []Bill
	// Text is the one text for all items; nil = none is sent now.
	Text *BundledText
	// Items are the bills whose decisions stand; those of a text are soonest due
	// first. The lead is missing when others that are due sooner took all the room:
	// decide about it again, once their text is written.
	Items []BundleItem
}

// BundledText is a text for the phone of all its bills.
type BundledText struct {
	Draft
	To       Phone
	Planned  time.Time // when the first of its stages should have left
	NotAfter time.Time // when the first of its stages stops being useful
}

// BundleOfOne is a bundle of the lead alone.
func BundleOfOne(lead BundleItem) Bundle {
	if lead.Ask {
		return Bundle{Ask: []Bill{lead.Bill}}
	}
	b := Bundle{Items: []BundleItem{lead}}
	if t := lead.Text; t != nil {
		b.Text = &BundledText{Draft: t.Draft, To: t.To, Planned: t.Planned, NotAfter: t.NotAfter}
	}
	return b
}

// Join lets other bills of the same phone share the text of lead, about which
// Decide has said that it is texted now, or would be after asking. A bill joins
// when its own policy and facts would have it texted now, the daily cap aside,
// or within Policy.BundleDays. Its words must be in the same language. Any other
// is left to its own time, and so is one that there is no room for: those go
// first whose texts are useful for the shortest time.
//
// Bills with an old balance are asked about together, once. One about which
// Almara Pay cannot say anything then does not hold up the others.
func Join(lead BundleItem, others []Case, policies Policies, to Delivery, now time.Time) Bundle {
	p := policies.For(lead.Bill.Service)
	language := p.languageOf(lead.Bill)
	if !p.Templates.bundles(language) || lead.sendAlone() {
		return BundleOfOne(lead)
	}
	items := []BundleItem{lead}
	// The lead is always among them: only bills that were asked about are decided about again.
	ask := []Bill{lead.Bill}
	for _, c := range others {
		q := policies.For(c.Bill.Service)
		if !q.Bundle || c.sendAlone() || q.languageOf(c.Bill) != language || c.Bill.Phone != lead.Bill.Phone {
			continue
		}
		// The text leaves in any case: the cap, the guards and the stops were tested for
		// the lead.
		c.joinsNow, c.TextsToday, c.Guards = true, 0, GuardState{FeedFaults: lead.Guards.FeedFaults}
		switch d := Decide(c, q, to, now); {
		case d.Ask:
			ask = append(ask, c.Bill)
		case d.Text != nil:
			items = append(items, BundleItem{&c, d})
		}
	}
	// Where others must be asked about, the whole bundle is put off once. The second time
	// those about which Almara Pay could not say anything are left out.
	othersMustBeAsked := len(ask) > 1 && lead.Asked == NotAsked
	if lead.Ask || othersMustBeAsked {
		return Bundle{Ask: ask}
	}
	slices.SortStableFunc(items, mostUrgentFirst)
	return p.fillText(lead, items, policies, now)
}

// mostUrgentFirst is the order in which bills have room in a text: those ahead of
// their hour come last, and of the others first those whose texts are useful for the
// shortest time.
func mostUrgentFirst(a, b BundleItem) int {
	if early := a.Text.Reason == Bundled; early != (b.Text.Reason == Bundled) {
		if early {
			return 1
		}
		return -1
	}
	return cmp.Or(a.Text.NotAfter.Compare(b.Text.NotAfter), a.Bill.DueDate.Compare(b.Bill.DueDate))
}

// sendAlone reports whether the bill is to have a text of its own (TryApart): the
// provider refused one that it shared, and the words about it may be to blame.
func (c *Case) sendAlone() bool {
	return slices.ContainsFunc(c.Done, func(r Reminder) bool {
		return r.DueDate == c.Bill.DueDate && r.Outcome == Held && r.Reason == TryApart
	})
}

// fillText words as many of the items, from the first on, as there is room for. The
// lead has no seat of its own: more urgent items may take all the room. When not even
// two fit, it is texted alone.
func (p *Policy) fillText(lead BundleItem, items []BundleItem, policies Policies, now time.Time) Bundle {
	b := BundleOfOne(lead)
	for n := 2; n <= len(items); n++ {
		first := slices.Clone(items[:n])
		slices.SortFunc(first, func(a, b BundleItem) int {
			return cmp.Or(a.Bill.DueDate.Compare(b.Bill.DueDate), cmp.Compare(a.Bill.ID, b.Bill.ID))
		})
		draft, err := p.wordBundle(first, policies, p.dayOf(now))
		if err != nil {
			break
		}
		if guard, _, _ := p.Guarded(lead.Guards, draft.Count.Segments, now); guard != "" {
			break
		}
		b = Bundle{Items: first, Text: &BundledText{Draft: draft, To: lead.Text.To}}
		for _, item := range first {
			b.Text.Planned = earliest(b.Text.Planned, item.Text.Planned)
			b.Text.NotAfter = earliest(b.Text.NotAfter, item.Text.NotAfter)
		}
	}
	return b
}

// stepToJoinWith is the index of the step with which a bill joins a text that leaves
// now, where i is its current one: the latest of today or, when nothing is left of that
// one to send, the next that comes within Policy.BundleDays.
func (e *evaluation) stepToJoinWith(steps []Step, i int) int {
	p := e.policy
	today := p.dayOf(e.now)
	// A customer who had a text about this bill today is not sent its next stage early as well.
	for _, r := range e.Done {
		if heardToday := r.Outcome == Texted && p.dayOf(r.DecidedAt) == today; heardToday && r.DueDate == e.Bill.DueDate {
			return i
		}
	}
	ofToday := i
	for ofToday+1 < len(steps) && p.dayOf(steps[ofToday+1].At) == today {
		ofToday++
	}
	if ofToday > i {
		return ofToday
	}
	unsent := i >= 0 && !e.recordOf(steps[i].Stage).Final()
	if unsent || i+1 == len(steps) {
		return i
	}
	// The stages after the due date never come early: the days until then are the
	// customer's to pay in.
	next := steps[i+1]
	tooEarly := next.Stage > 0 || p.dayOf(next.At).Sub(today) > p.BundleDays
	if tooEarly || e.Moved.contradicts(e.Bill.DueDate, p.Zone, e.now) {
		return i
	}
	return i + 1
}
