package reminder

import (
	"cmp"
	"slices"
	"time"
)

// The bounds of a bundle.
const (
	MaxBundleDays       = 7  // of Policy.BundleDays
	MaxBundleCandidates = 20 // other bills that are looked at for one text
)

// BundleItem is one bill and what is decided about it.
type BundleItem struct {
	*Case
	Decision
}

// Bundle is what is decided about a bill together with other bills of its phone.
type Bundle struct {
	// Ask are the bills to ask Almara Pay about before anything is decided.
	// Nothing else is set then.
	Ask []Bill
	// Text is the one text for all shares; nil = none is sent now.
	Text *BundledText
	// Shares are the bills whose decisions hold; those of a text are soonest
	// due first. The bill that was to lead is missing when there was no room
	// for it beside others that are due sooner: decide about it again.
	Items []BundleItem
}

// BundledText is a text for the phone of all its bills.
type BundledText struct {
	Draft
	To       Phone
	Planned  time.Time // when the first of its stages should have left
	NotAfter time.Time // when the first of its stages stops being useful
}

// Single is the decision about one bill without others.
func Single(lead BundleItem) Bundle {
	if lead.Ask {
		return Bundle{Ask: []Bill{lead.Bill}}
	}
	j := Bundle{Items: []BundleItem{lead}}
	if t := lead.Text; t != nil {
		j.Text = &BundledText{Draft: t.Draft, To: t.To, Planned: t.Planned, NotAfter: t.NotAfter}
	}
	return j
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
	shares := []BundleItem{lead}
	ask := []Bill{lead.Bill}
	if !p.Templates.bundles(language) || lead.sendAlone() {
		return Single(lead)
	}
	for _, c := range others {
		q := policies.For(c.Bill.Service)
		if !q.Bundle || c.sendAlone() || q.languageOf(c.Bill) != language || c.Bill.Phone != lead.Bill.Phone {
			continue
		}
		// The text leaves in any case: the cap, the guards and the stops were
		// looked at for it.
		c.joins, c.TextsToday, c.Guards = true, 0, GuardState{FeedFaults: lead.Guards.FeedFaults}
		switch d := Decide(c, q, to, now); {
		case d.Ask:
			ask = append(ask, c.Bill)
		case d.Text != nil:
			shares = append(shares, BundleItem{&c, d})
		}
	}
	if lead.Ask || len(ask) > 1 && lead.Asked == NotAsked {
		return Bundle{Ask: ask}
	}
	slices.SortStableFunc(shares, func(a, b BundleItem) int {
		if early := a.Text.Reason == Bundled; early != (b.Text.Reason == Bundled) {
			if early {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Text.NotAfter.Compare(b.Text.NotAfter), a.Bill.DueDate.Compare(b.Bill.DueDate))
	})
	return p.bundle(lead, shares, policies, now)
}

// sendAlone reports whether the bill is to have a text of its own: the provider
// refused one that it shared, and the words about it may be to blame.
func (c *Case) sendAlone() bool {
	return slices.ContainsFunc(c.Done, func(r Reminder) bool {
		return r.DueDate == c.Bill.DueDate && r.Outcome == Held && r.Reason == TryApart
	})
}

// bundle words as many of the shares, from the first on, as there is room for.
func (p *Policy) bundle(lead BundleItem, shares []BundleItem, policies Policies, now time.Time) Bundle {
	j := Single(lead)
	for n := 2; n <= len(shares); n++ {
		some := slices.Clone(shares[:n])
		slices.SortFunc(some, func(a, b BundleItem) int {
			return cmp.Or(a.Bill.DueDate.Compare(b.Bill.DueDate), cmp.Compare(a.Bill.ID, b.Bill.ID))
		})
		draft, err := p.WordBundle(some, policies, p.dayOf(now))
		if err != nil {
			break
		}
		if held, _, _ := p.Guarded(lead.Guards, draft.Count.Segments, now); held != "" {
			break
		}
		j = Bundle{Items: some, Text: &BundledText{Draft: draft, To: lead.Text.To}}
		for _, s := range some {
			j.Text.Planned = earliest(j.Text.Planned, s.Text.Planned)
			j.Text.NotAfter = earliest(j.Text.NotAfter, s.Text.NotAfter)
		}
	}
	return j
}

// joining is the index of the step with which a bill joins a text that leaves
// now, where i is its current one: the latest of today, or else, when nothing
// is left of the current one, the next that comes within Policy.BundleDays.
//
// A stage after the due date does not come early: the days until then are the
// customer's to pay in. Nor does any on a day on which the customer has heard of
// the bill already.
func (c *Case) joining(p *Policy, steps []Step, i int, now time.Time) int {
	today := p.dayOf(now)
	for _, r := range c.Done {
		if r.DueDate == c.Bill.DueDate && r.Outcome == Texted && p.dayOf(r.DecidedAt) == today {
			return i
		}
	}
	dayOf := func(i int) Date { return p.dayOf(steps[i].At) }
	own := i
	for i+1 < len(steps) && dayOf(i+1) == today {
		i++
	}
	if c.Moved.contradicts(c.Bill.DueDate, p.Zone, now) {
		return i // nor does one with another date than the customer has just heard
	}
	if i > own || i+1 >= len(steps) || steps[i+1].Stage > 0 || dayOf(i+1).Sub(today) > p.BundleDays {
		return i
	}
	if i < 0 || recordOf(c.Done, c.Bill.DueDate, steps[i].Stage).Final() {
		return i + 1
	}
	return i
}
