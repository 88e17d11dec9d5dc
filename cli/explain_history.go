package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// history is all that is known of one bill, and what is planned.
type history struct {
	app     *app
	cfg     *config.Config
	policy  *reminder.Policy
	bill    store.Watched
	done    []reminder.Reminder
	texts   []store.SentText
	events  []store.Event
	optOuts []store.OptOut
	// What the remind job would decide now, alone or together with other bills of
	// the phone; bundle.Items may lack the bill, when others take the room.
	decision reminder.Decision
	bundle   reminder.Bundle
	// The next decision pauses the bill: a pause of its service or phone has yet to reach it.
	willBePaused bool
	now          time.Time
}

func (a *app) historyOf(ctx context.Context, cfg *config.Config, s *store.Store, w store.Watched) (h *history, err error) {
	h = &history{app: a, cfg: cfg, policy: cfg.Policies.For(w.Service), bill: w, now: a.now()}
	if h.done, err = s.Reminders(ctx, w.ID); err != nil {
		return nil, err
	}
	if h.texts, err = s.Texts(ctx, w.ID); err != nil {
		return nil, err
	}
	if h.events, err = s.Events(ctx, w.ID); err != nil {
		return nil, err
	}
	outs, err := s.OptOutsOf(ctx, w.Phone)
	if err != nil {
		return nil, err
	}
	for _, o := range outs {
		if o.Service == "" || o.Service == w.Service {
			h.optOuts = append(h.optOuts, o)
		}
	}
	lead, bundle, err := s.DryRun(ctx, store.Round{Now: h.now, Policies: cfg.Policies, Delivery: cfg.Delivery}, w.Bill)
	if err != nil {
		return nil, err
	}
	h.decision, h.bundle = lead.Decision, bundle
	h.willBePaused = w.State == reminder.BillActive && lead.Bill.State == reminder.BillPaused
	for _, item := range bundle.Items {
		if item.Bill.ID == w.ID {
			h.decision = item.Decision
		}
	}
	return h, nil
}

// others are the accounts of the other bills that are asked about or texted
// together with this one.
func (h *history) others() (accounts []string) {
	for _, b := range h.bundle.Ask {
		if b.ID != h.bill.ID {
			accounts = append(accounts, b.Account)
		}
	}
	for _, item := range h.bundle.Items {
		if item.Bill.ID != h.bill.ID {
			accounts = append(accounts, item.Bill.Account)
		}
	}
	return accounts
}

// crowdedOut reports whether other bills of the phone would take all the room
// of a text.
func (h *history) crowdedOut() bool {
	return len(h.bundle.Items) > 0 && !slices.ContainsFunc(h.bundle.Items, func(s reminder.BundleItem) bool { return s.Bill.ID == h.bill.ID })
}

// planned is one stage of the present due date and how it stands.
type planned struct {
	Stage    reminder.Stage   `json:"stage"`
	Planned  time.Time        `json:"planned_at"`
	Outcome  reminder.Outcome `json:"outcome,omitempty"`
	Reason   reminder.Reason  `json:"reason,omitempty"`
	Sentence string           `json:"means"`
}

// plan joins the stages of the present due date with what became of them, and
// else with what would.
func (h *history) plan() (all []planned) {
	for _, step := range h.policy.Steps(h.bill.DueDate) {
		p := planned{Stage: step.Stage, Planned: utc(step.At)}
		for _, r := range h.done {
			if r.DueDate == h.bill.DueDate && r.Stage == step.Stage {
				p.Outcome, p.Reason = r.Outcome, r.Reason
				p.Sentence = h.sentence(r, step.At)
			}
		}
		if p.Outcome == "" {
			p.Sentence = h.prospect(step)
		}
		all = append(all, p)
	}
	return all
}

// prospect says what would become of a stage that was never acted on.
func (h *history) prospect(step reminder.Step) string {
	pausedThen := h.bill.State == reminder.BillPaused && (h.bill.PausedUntil.IsZero() || step.At.Before(h.bill.PausedUntil))
	switch {
	case h.bill.State != reminder.BillActive && h.bill.State != reminder.BillPaused || pausedThen:
		return "not sent while the bill is " + string(h.bill.State)
	case len(h.optOuts) > 0 && h.now.Before(step.At):
		return "not sent: " + h.optOuts[0].Reason.Info().Means
	case h.bill.State == reminder.BillPaused:
		return "to be sent if something is owed then, after the pause"
	case h.willBePaused:
		return "not sent while the bill is paused"
	case h.now.Before(step.At):
		return "to be sent if something is owed then"
	case h.bill.NextRemind.IsZero():
		return "had passed before the due date was known"
	case len(h.bundle.Ask) > 0:
		return "to be decided now, once Almara Pay has said what is owed"
	}
	for _, r := range h.decision.Records {
		if r.Stage == step.Stage {
			return wouldBe(r)
		}
	}
	return "had passed before the due date was known"
}

// wouldBe says what a decision would make of a stage.
func wouldBe(r reminder.StageDecision) string {
	if r.Outcome == reminder.Texted {
		return "to be sent now"
	}
	return "would be " + string(r.Outcome) + " now: " + r.Reason.Info().Means
}

// sentence says how a stage stands; a text that nobody is sure of is not
// called sent.
func (h *history) sentence(r reminder.Reminder, planned time.Time) string {
	means := r.Reason.Info().Means
	switch r.Outcome {
	case reminder.Held:
		if next := h.bill.NextRemind; !next.IsZero() {
			return "held until " + h.stamp(next) + ": " + means
		}
	case reminder.Texted:
		if r.Reason == reminder.CatchUp && h.bill.RegisteredAt.After(planned) {
			means = "late, since the bill was new"
		}
		for _, t := range h.texts {
			if t.ID == r.TextID && (t.State == store.Unknown || t.State == store.Sending) {
				return "in doubt: the provider may or may not have the text, and is asked"
			}
		}
	case reminder.Skipped:
	}
	return string(r.Outcome) + ": " + means
}

// coming is one thing that will happen, and when; zero = now.
type coming struct {
	At   time.Time `json:"at,omitzero"`
	What string    `json:"what"`
}

// next says what the jobs do about the bill next, and what the decision would
// be now.
func (h *history) next() (all []coming) {
	b := h.bill
	switch b.State {
	case reminder.BillRejected:
		return []coming{{What: "nothing: Almara Pay refuses the account; duewatch retry asks again"}}
	case reminder.BillRemoved:
		return []coming{{What: "nothing: the bill is no longer declared"}}
	case reminder.BillPaused:
		if b.PausedUntil.IsZero() {
			return []coming{{What: "nothing, until duewatch resume"}}
		}
		return []coming{{b.PausedUntil, "the pause ends, and Almara Pay is asked"}}
	case reminder.BillPending:
		return []coming{{b.NextCheck, "the account is registered with Almara Pay"}}
	case reminder.BillActive:
	}
	all = append(all, coming{What: "if decided now: " + h.verdict()})
	if !b.NextCheck.IsZero() {
		all = append(all, coming{b.NextCheck, "Almara Pay is asked again"})
	}
	if b.NextRemind.IsZero() {
		all = append(all, coming{What: "no reminder of this due date is to come"})
	} else {
		all = append(all, coming{b.NextRemind, "a reminder is decided" + h.stageAt(b.NextRemind)})
	}
	slices.SortStableFunc(all, func(a, b coming) int { return a.At.Compare(b.At) })
	return all
}

// stageAt names the stage that is planned for an instant.
func (h *history) stageAt(at time.Time) string {
	for _, step := range h.policy.Steps(h.bill.DueDate) {
		if step.At.Equal(at) {
			return ", " + step.Stage.String()
		}
	}
	return ""
}

// verdict says what the remind job would decide now.
func (h *history) verdict() string {
	d, others := h.decision, "account "+strings.Join(h.others(), ", ")
	switch {
	case h.willBePaused:
		return "it would be paused, by a pause of its service or phone that has yet to reach it"
	case len(h.bundle.Ask) > 0 && !d.Ask:
		return "Almara Pay would be asked first about " + others + ", which may share its text"
	case d.Ask:
		age := "which is not known"
		if at := h.bill.BalanceAt; !at.IsZero() {
			age = "which is of " + h.stamp(at)
		}
		first := "Almara Pay would be asked for the balance first, " + age
		if len(h.bundle.Ask) > 1 {
			first += "; and about " + others + ", which may share its text"
		}
		return first
	case h.crowdedOut():
		return others + " of the same phone would be texted first, and it would be decided after that"
	case d.Text != nil && len(h.bundle.Items) > 1:
		return fmt.Sprintf("%s would be sent, in one text with %s, of %s", d.Text.Stage, others, countOf(h.bundle.Text.Count.Segments, "segment"))
	case d.Text != nil:
		return fmt.Sprintf("%s would be sent, in %s", d.Text.Stage, countOf(d.Text.Count.Segments, "segment"))
	case len(d.Records) > 0:
		r := d.Records[len(d.Records)-1]
		why := r.Detail
		if why == "" {
			why = r.Reason.Info().Means
		}
		return fmt.Sprintf("%s would be %s as %s: %s", r.Stage, r.Outcome, r.Reason, why)
	}
	return "nothing would be done"
}

func (h *history) stamp(t time.Time) string { return h.app.shortTime(t, h.cfg.Zone) }

func (h *history) dueSentence() string {
	due := h.bill.DueDate
	if due.IsZero() {
		return "not known"
	}
	switch left := due.Sub(reminder.DateOf(h.now.In(h.cfg.Zone))); {
	case left == 0:
		return due.String() + ", today"
	case left > 0:
		return fmt.Sprintf("%s, in %s", due, countOf(left, "day"))
	default:
		return fmt.Sprintf("%s, %s ago", due, countOf(-left, "day"))
	}
}
