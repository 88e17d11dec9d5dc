package cli

import (
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// forJSON is the history as JSON.
func (h *history) forJSON(blockers store.Blockers) any {
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
	out := struct {
		Bill        any       `json:"bill"`
		PausedAt    time.Time `json:"paused_at,omitzero"`
		PausedUntil time.Time `json:"paused_until,omitzero"`
		OptOuts     []optOut  `json:"opt_outs,omitempty"`
		Plan        []planned `json:"plan"`
		Texts       []text    `json:"texts"`
		Events      []event   `json:"events"`
		Next        []coming  `json:"next"`
		InForce     []string  `json:"in_force,omitempty"`
	}{Bill: billJSON(h.bill, reminder.Phone.String), Plan: h.plan(), InForce: h.blocked(blockers)}
	if h.bill.State == reminder.BillPaused {
		out.PausedAt, out.PausedUntil = utc(h.bill.PausedAt), utc(h.bill.PausedUntil)
	}
	for _, o := range h.optOuts {
		out.OptOuts = append(out.OptOuts, optOut{o.Service, o.Reason, utc(o.Since), o.Source, o.Who})
	}
	for _, t := range h.texts {
		out.Texts = append(out.Texts, text{
			t.ID, t.State, t.Body, t.Segments, t.Billed, t.Price, t.PriceUnit,
			utc(t.CreatedAt), utc(t.AcceptedAt), utc(t.SettledAt), t.ProviderID, t.Code, t.Error,
		})
	}
	for _, e := range h.events {
		out.Events = append(out.Events, event{utc(e.At), e.What, e.Reason, e.Detail, e.TextID})
	}
	for _, n := range h.next() {
		out.Next = append(out.Next, coming{utc(n.At), n.What})
	}
	return out
}
