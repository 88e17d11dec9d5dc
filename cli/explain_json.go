package cli

import (
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// forPrograms is the story as JSON.
func (st *history) forPrograms(blockers store.Blockers) any {
	type event struct {
		At     time.Time `json:"at"`
		What   string    `json:"what"`
		Reason string    `json:"reason"`
		Detail string    `json:"detail"`
		Text   int64     `json:"text,omitempty"`
	}
	type text struct {
		ID        int64           `json:"id"`
		State     store.TextState `json:"state"`
		Body      string          `json:"body"`
		Segments  int             `json:"segments"`
		Billed    int             `json:"billed_segments,omitempty"`
		Price     string          `json:"price,omitempty"`
		PriceUnit string          `json:"price_unit,omitempty"`
		Created   time.Time       `json:"created_at"`
		Accepted  time.Time       `json:"accepted_at,omitzero"`
		Settled   time.Time       `json:"settled_at,omitzero"`
		Provider  string          `json:"provider_id,omitempty"`
		Code      int             `json:"error_code,omitempty"`
		Error     string          `json:"error,omitempty"`
	}
	type optOut struct {
		Service string          `json:"service,omitempty"`
		Reason  reminder.Reason `json:"reason"`
		Since   time.Time       `json:"since"`
		Source  string          `json:"source"`
		Who     string          `json:"who"`
	}
	story := struct {
		Bill        any       `json:"bill"`
		PausedAt    time.Time `json:"paused_at,omitzero"`
		PausedUntil time.Time `json:"paused_until,omitzero"`
		OptOuts     []optOut  `json:"opt_outs,omitempty"`
		Plan        []planned `json:"plan"`
		Texts       []text    `json:"texts"`
		Events      []event   `json:"events"`
		Next        []coming  `json:"next"`
		InForce     []string  `json:"in_force,omitempty"`
	}{Bill: billJSON(st.bill, reminder.Phone.String), Plan: st.plan(), InForce: st.blocked(blockers)}
	if st.bill.State == reminder.BillPaused {
		story.PausedAt, story.PausedUntil = utc(st.bill.PausedAt), utc(st.bill.PausedUntil)
	}
	for _, o := range st.optOuts {
		story.OptOuts = append(story.OptOuts, optOut{o.Service, o.Reason, utc(o.Since), o.Source, o.Who})
	}
	for _, t := range st.texts {
		story.Texts = append(story.Texts, text{
			t.ID, t.State, t.Body, t.Segments, t.Billed, t.Price, t.PriceUnit, utc(t.CreatedAt), utc(t.AcceptedAt), utc(t.SettledAt), t.ProviderID, t.Code, t.Error,
		})
	}
	for _, e := range st.events {
		story.Events = append(story.Events, event{utc(e.At), e.What, e.Reason, e.Detail, e.TextID})
	}
	for _, n := range st.next() {
		story.Next = append(story.Next, coming{utc(n.At), n.What})
	}
	return story
}
