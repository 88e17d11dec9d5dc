package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

func (a *app) explainCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain ACCOUNT",
		Short: "Tell the whole story of a bill",
		Long: `Tells what was learned of a bill and when, which reminders were sent, held or
skipped and by which rule, what became of each text, and what comes next. It
answers "why did she get this?" and "why did he get nothing?".`,
		Example: "  duewatch explain 30012345",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			cfg, s, err := a.openReader(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			n := 0
			err = s.Bills(c.Context(), store.BillFilter{Account: args[0]}, func(w store.Watched) error {
				n++
				st, err := a.storyOf(c.Context(), cfg, s, w)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(a.stdout).Encode(st.forPrograms()) //nolint:wrapcheck // stdout
				}
				return st.tell(a.stdout)
			})
			if err == nil && n == 0 {
				err = fmt.Errorf("account %s: %w in the store: is it declared in the config, and has the daemon run since?", args[0], store.ErrNotFound)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object for each bill of that account")
	return c
}

// story is all that is known of one bill, and what is planned.
type story struct {
	app    *app
	cfg    *config.Config
	policy *reminder.Policy
	bill   store.Watched
	done   []reminder.Reminder
	texts  []store.SentText
	events []store.Event
}

func (a *app) storyOf(ctx context.Context, cfg *config.Config, s *store.Store, w store.Watched) (*story, error) {
	st := &story{app: a, cfg: cfg, policy: cfg.Policies.For(w.Service), bill: w}
	var err error
	if st.done, err = s.Reminders(ctx, w.ID); err != nil {
		return nil, err //nolint:wrapcheck // says all
	}
	if st.texts, err = s.Texts(ctx, w.ID); err != nil {
		return nil, err //nolint:wrapcheck // says all
	}
	if st.events, err = s.Events(ctx, w.ID); err != nil {
		return nil, err //nolint:wrapcheck // says all
	}
	return st, nil
}

// planned is one stage of the present due date and how it stands.
type planned struct {
	Stage    reminder.Stage   `json:"stage"`
	Planned  time.Time        `json:"planned_at"`
	Outcome  reminder.Outcome `json:"outcome,omitempty"`
	Reason   reminder.Reason  `json:"reason,omitempty"`
	Sentence string           `json:"means"`
}

// plan joins the stages of the present due date with what became of them.
func (st *story) plan() []planned {
	now := st.app.now()
	var all []planned
	steps := st.policy.Steps(st.bill.DueDate)
	for i, step := range steps {
		p := planned{Stage: step.Stage, Planned: utc(step.At)}
		for _, r := range st.done {
			if r.DueDate == st.bill.DueDate && r.Stage == step.Stage {
				p.Outcome, p.Reason = r.Outcome, r.Reason
				p.Sentence = st.sentence(r, step.At)
			}
		}
		switch {
		case p.Outcome != "":
		case st.bill.State != reminder.BillActive:
			p.Sentence = "not sent while the bill is " + string(st.bill.State)
		case !now.Before(step.NotAfter):
			p.Sentence = "had passed before the due date was known"
		case now.Before(step.At):
			p.Sentence = "to be sent if something is owed then"
		case i+1 < len(steps) && reminder.DateOf(steps[i+1].At) == reminder.DateOf(now.In(st.cfg.Zone)), i+1 < len(steps) && !now.Before(steps[i+1].At):
			p.Sentence = "a later stage takes its place"
		default:
			p.Sentence = "to be looked at now"
		}
		all = append(all, p)
	}
	return all
}

// happened words an event; a text that was decided on is not sent yet.
func happened(what string) string {
	if what == string(reminder.Texted) {
		return "to be texted"
	}
	return strings.ReplaceAll(what, "_", " ")
}

// sentence says how a stage stands; a text that nobody is sure of is not
// called sent.
func (st *story) sentence(r reminder.Reminder, planned time.Time) string {
	means := r.Reason.Info().Means
	switch r.Outcome {
	case reminder.Held:
		if next := st.bill.NextRemind; !next.IsZero() {
			return "held until " + st.app.shortTime(next, st.cfg.Zone) + ": " + means
		}
	case reminder.Texted:
		if r.Reason == reminder.CatchUp && st.bill.RegisteredAt.After(planned) {
			means = "late, since the bill was new"
		}
		for _, t := range st.texts {
			if t.ID == r.TextID && (t.State == store.Unknown || t.State == store.Sending) {
				return "in doubt: the provider may or may not have the text, and is asked"
			}
		}
	case reminder.Skipped:
	}
	return string(r.Outcome) + ": " + means
}

func (st *story) tell(w io.Writer) error {
	b, zone := st.bill, st.cfg.Zone
	stamp := func(t time.Time) string { return st.app.shortTime(t, zone) }
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)

	fmt.Fprintf(out, "%s, account %s: %s\n", st.cfg.Policies.Name(b.Service), b.Account, b.State)
	if b.Customer != "" {
		fmt.Fprintf(out, "  customer\t%s\n", b.Customer)
	}
	fmt.Fprintf(out, "  phone\t%s\n", b.Phone)
	fmt.Fprintf(out, "  due\t%s\n", st.dueSentence())
	if b.Balance != nil {
		fmt.Fprintf(out, "  balance\t%s %s, as Almara Pay said on %s\n", st.policy.Currency, b.Balance.Format(), stamp(b.BalanceAt))
	} else {
		fmt.Fprintln(out, "  balance\tnot known")
	}
	if b.LastError != "" {
		fmt.Fprintf(out, "  last problem\t%s\n", b.LastError)
	}
	fmt.Fprintf(out, "  asked again\t%s\n", stamp(b.NextCheck))

	fmt.Fprintln(out, "\nReminders of this due date")
	plan := st.plan()
	if len(plan) == 0 {
		fmt.Fprintln(out, "  none: the due date is not known")
	}
	for _, p := range plan {
		fmt.Fprintf(out, "  %s\t%s\t%s\n", stamp(p.Planned), p.Stage, p.Sentence)
	}
	if len(st.texts) > 0 {
		fmt.Fprintln(out, "\nTexts")
	}
	for _, t := range st.texts {
		fmt.Fprintf(out, "  %s\t%s\t%s\n", stamp(t.CreatedAt), t.State, textSentence(t))
		for _, line := range wrap(t.Body, 68) {
			fmt.Fprintf(out, "  \t\t%s\n", line)
		}
	}
	fmt.Fprintln(out, "\nWhat happened")
	for _, e := range st.events {
		fmt.Fprintf(out, "  %s\t%s\t%s\n", stamp(e.At), happened(e.What), e.Detail)
	}
	fmt.Fprintln(out)
	return out.Flush() //nolint:wrapcheck // stdout
}

func (st *story) dueSentence() string {
	due := st.bill.DueDate
	if due.IsZero() {
		return "not known"
	}
	switch left := due.Sub(reminder.DateOf(st.app.now().In(st.cfg.Zone))); {
	case left == 0:
		return due.String() + ", today"
	case left > 0:
		return fmt.Sprintf("%s, in %d days", due, left)
	default:
		return fmt.Sprintf("%s, %d days ago", due, -left)
	}
}

func textSentence(t store.SentText) string {
	s := countOf(t.Segments, "segment")
	if t.ProviderID != "" {
		s += ", " + t.ProviderID
	}
	if t.Error != "" {
		s += ": " + t.Error
	}
	return s
}

func (st *story) forPrograms() any {
	type event struct {
		At     time.Time `json:"at"`
		What   string    `json:"what"`
		Reason string    `json:"reason"`
		Detail string    `json:"detail"`
		Text   int64     `json:"text,omitempty"`
	}
	type text struct {
		ID       int64           `json:"id"`
		State    store.TextState `json:"state"`
		Body     string          `json:"body"`
		Segments int             `json:"segments"`
		Created  time.Time       `json:"created_at"`
		Accepted time.Time       `json:"accepted_at,omitzero"`
		Settled  time.Time       `json:"settled_at,omitzero"`
		Provider string          `json:"provider_id,omitempty"`
		Code     int             `json:"error_code,omitempty"`
		Error    string          `json:"error,omitempty"`
	}
	story := struct {
		Bill   any       `json:"bill"`
		Plan   []planned `json:"plan"`
		Texts  []text    `json:"texts"`
		Events []event   `json:"events"`
	}{Bill: billJSON(st.bill, reminder.Phone.String), Plan: st.plan()}
	for _, t := range st.texts {
		story.Texts = append(story.Texts, text{t.ID, t.State, t.Body, t.Segments, utc(t.CreatedAt), utc(t.AcceptedAt), utc(t.SettledAt), t.ProviderID, t.Code, t.Error})
	}
	for _, e := range st.events {
		story.Events = append(story.Events, event{utc(e.At), e.What, e.Reason, e.Detail, e.TextID})
	}
	return story
}
