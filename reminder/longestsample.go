package reminder

import "time"

// LongestSample is a template rendered with a long record, for `duewatch check`.
type LongestSample struct {
	Language string
	Kind     string // "before", "after" or "bundle"
	// Draft is the text with everything in it, the name too, however long.
	// Its Count names the character that forces UCS-2, if one does.
	Draft Draft
	// Err is what Word says of the record, with the amount or without; it
	// wraps ErrTooLong when such a text would be held.
	Err error
}

// LongestSamples renders every template with the longest record that is plausible
// under the policy: a full-length name and description, a 16-digit account,
// a seven-digit amount, the longest month, and the stage with the most days.
// They come in the order of language, before first. The result is the same
// at every call.
func (p *Policy) LongestSamples() []LongestSample {
	balance := MustMoney("8888888") // with the decimals that its currency has
	b := Bill{
		Customer:    "Wanjiru Muthoni Kamau & Sons Company Ltd",
		Account:     "8888888888888888",
		Description: "Rent and service charge, Block C, House 28, Kilimani Gardens",
		Balance:     &balance,
		DueDate:     NewDate(2028, time.September, 28),
	}
	before, after := 2, 2 // the shortest distances that are not worded by a single word
	for _, s := range p.Stages {
		before, after = max(before, -int(s)), max(after, int(s))
	}
	var samples []LongestSample
	for _, language := range p.Templates.Languages() {
		b.Language = language
		samples = append(samples,
			p.longestSample(b, kindBefore, b.DueDate.AddDays(-before)),
			p.longestSample(b, kindAfter, b.DueDate.AddDays(after)))
		if p.Bundle && p.Templates.bundles(language) {
			samples = append(samples, p.longestBundle(b, b.DueDate.AddDays(-before)))
		}
	}
	return samples
}

// longestBundle is the longest text for two bills: with more of them a text is
// not longer than the policy allows, since what does not fit is left out.
func (p *Policy) longestBundle(b Bill, today Date) LongestSample {
	longest := LongestSample{Language: b.Language, Kind: kindBundle}
	for _, withAmount := range []bool{true, false} {
		items := sampleItems(b, 2, withAmount)
		unbound := *p
		unbound.MaxSegments = 0
		draft, err := unbound.wordBundle(items, Policies{Default: p}, today)
		if err == nil {
			_, err = p.wordBundle(items, Policies{Default: p}, today)
		}
		longest.add(draft, err)
	}
	return longest
}

// add keeps the longer of the texts, and the first fault.
func (s *LongestSample) add(draft Draft, err error) {
	if c, most := draft.Count, s.Draft.Count; c.Segments > most.Segments || c.Segments == most.Segments && c.Units > most.Units {
		s.Draft = draft
	}
	if s.Err == nil {
		s.Err = err
	}
}

// longestSample is the longer of the texts with and without the amount: a template
// may have more to say without it.
func (p *Policy) longestSample(b Bill, kind string, today Date) LongestSample {
	longest := LongestSample{Language: b.Language, Kind: kind}
	for _, withAmount := range []bool{true, false} {
		draft, err := p.draft(b, today, withAmount)
		if err == nil {
			_, err = p.Word(b, today, withAmount)
		}
		longest.add(draft, err)
	}
	return longest
}
