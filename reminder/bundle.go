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
	// Items are the bills whose decisions hold; those of a text are soonest
	// due first. The lead is missing when there was no room for it beside others
	// that are due sooner: decide about it again.
	Items []BundleItem
}

// BundledText is a text for the phone of all its bills.
type BundledText struct {
	Draft
	To       Phone
	Planned  time.Time // when the first of its stages should have left
	NotAfter time.Time // when the first of its stages stops being useful
}

// BundleOfOne is the decision about one bill without others.
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
// or within Policy.BundleDays; its words must be in the same language. Any other
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
	if lead.Ask || len(ask) > 1 && lead.Asked == NotAsked {
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

// sendAlone reports whether the bill is to have a text of its own: the provider
// refused one that it shared, and the words about it may be to blame.
func (c *Case) sendAlone() bool {
	return slices.ContainsFunc(c.Done, func(r Reminder) bool {
		return r.DueDate == c.Bill.DueDate && r.Outcome == Held && r.Reason == TryApart
	})
}

// fillText words as many of the items, from the first on, as there is room for.
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
// now, where i is its current one: the latest of today, or else, when nothing
// is left of the current one, the next that comes within Policy.BundleDays.
//
// A stage after the due date does not come early: the days until then are the
// customer's to pay in. Nor does any on a day on which the customer has heard of
// the bill already, or has just heard of another due date.
func (c *Case) stepToJoinWith(p *Policy, steps []Step, i int, now time.Time) int {
	today := p.dayOf(now)
	for _, r := range c.Done {
		if r.DueDate == c.Bill.DueDate && r.Outcome == Texted && p.dayOf(r.DecidedAt) == today {
			return i
		}
	}
	latest := i
	for latest+1 < len(steps) && p.dayOf(steps[latest+1].At) == today {
		latest++
	}
	next := latest + 1
	switch {
	case latest > i, next == len(steps), c.Moved.contradicts(c.Bill.DueDate, p.Zone, now):
		return latest
	case steps[next].Stage > 0, p.dayOf(steps[next].At).Sub(today) > p.BundleDays:
		return latest
	case latest >= 0 && !recordOf(c.Done, c.Bill.DueDate, steps[latest].Stage).Final():
		return latest
	}
	return next
}
