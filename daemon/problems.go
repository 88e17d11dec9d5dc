package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// Problems words what keeps texts from leaving, and what the operator can do about
// it: in the same sentences for /healthz, doctor and release.
type Problems struct {
	Store *store.Store
	// Policy is that of bills whose service has none of its own. Instants are shown
	// in its zone.
	Policy *reminder.Policy
	Now    func() time.Time
}

// Problem is one thing that is wrong, and what the operator can do about it.
type Problem struct {
	// Key stays the same while the text changes: it says whether a problem is a new one.
	Key  string
	Text string
	// Outside is what may be said of it outside this host, where Text repeats words of a
	// peer or names a bill; "" = Text.
	Outside string
}

// keyed is the text behind the key, by which the documentation has it.
func (p Problem) keyed() string { return p.Key + ": " + p.Text }

// Sentences are the texts of problems.
func Sentences(all []Problem) []string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.Text
	}
	return texts
}

// unread is that something could not be read.
func unread(err error) Problem {
	return Problem{Key: "store_read", Text: err.Error(), Outside: "the store cannot be read; the log says why"}
}

// manyFiltered of the last texts kept back for their words are no accident.
const manyFiltered = 5

// Sending are the stops, the warnings, the bills that Almara Pay refuses, and the
// guard that holds texts now.
func (p Problems) Sending(ctx context.Context) (all []Problem) {
	blockers, err := p.Store.Blockers(ctx, p.Policy, p.Now())
	if err != nil {
		return []Problem{unread(err)}
	}
	for _, s := range blockers.Stops {
		begin := "sending is stopped since " + p.day(s.Since) + ": "
		problem := Problem{Key: "stop:" + string(s.Reason), Text: begin + p.Stop(s)}
		if quotesPeer[s.Reason] {
			problem.Outside = begin + p.withoutDetail(s.Reason)
		}
		all = append(all, problem)
	}
	for _, w := range blockers.Warnings {
		problem := Problem{Key: "warning:" + string(w.Reason), Text: p.Warning(w)}
		if quotesPeer[w.Reason] {
			problem.Outside = fmt.Sprintf("%s since %s", p.withoutDetail(w.Reason), p.day(w.Since))
		}
		all = append(all, problem)
	}
	refused, err := p.RefusedBills(ctx)
	if err != nil {
		return append(all, unread(err))
	}
	all = append(all, refused...)
	if guard := blockers.Guard; guard != "" {
		all = append(all, Problem{Key: "guard:" + string(guard), Text: fmt.Sprintf("texts are held by a guard, %s: %s; "+
			"once you have checked, duewatch release --reason %s lets them go", guard, blockers.Figures, guard)})
	}
	if filtered, recent := blockers.State.Filtered, blockers.State.Recent; filtered >= manyFiltered {
		all = append(all, Problem{Key: "filtered", Text: fmt.Sprintf(
			"%d of the last %d texts were kept back for their words: carriers take them for advertising", filtered, recent)})
	}
	return all
}

// quotesPeer are the stops and warnings whose detail names a bill and repeats what Almara
// Pay says of it.
var quotesPeer = map[reminder.Reason]bool{
	reminder.MassRejected: true, reminder.UnreadableAnswers: true, reminder.NobodyAnswered: true,
}

func (p Problems) withoutDetail(r reminder.Reason) string {
	return fmt.Sprintf("%s: %s; duewatch release says more", r, strings.TrimPrefix(r.Info().Means, "sending is stopped: "))
}

// Stop is a stop, why, and how it ends.
func (p Problems) Stop(s store.Stopped) string {
	release := "duewatch release --reason " + string(s.Reason)
	end := "; " + release + " lets it go on"
	if !s.Until.IsZero() {
		end = "; it is tried again at " + p.hour(s.Until) + ", or by " + release
	}
	return string(s.Reason) + ": " + s.Detail + end
}

// Warning is a warning, and how it ends.
func (p Problems) Warning(w store.Warning) string {
	sentence := fmt.Sprintf("%s since %s: %s", w.Reason, p.day(w.Since), w.Detail)
	if w.Reason == reminder.ListShrank {
		return sentence // its detail says how it ends
	}
	return sentence + fmt.Sprintf("; once you have checked, duewatch release --reason %s ends this warning", w.Reason)
}

// RefusedBills say which bills Almara Pay refuses without rejecting them, and
// what to do: the others go on, so nothing else shows it.
func (p Problems) RefusedBills(ctx context.Context) (all []Problem, err error) {
	for _, of := range []struct {
		how            store.Refusal
		key, what, end string
	}{
		{store.Unclear, "refused:unclear", "Almara Pay refuses %s in a form that is not known",
			"such a bill is rejected when that is said on another day and others are answered; " +
				"mend the account where it comes from, or duewatch retry ACCOUNT"},
		{store.Forbidden, "refused:forbidden", "Almara Pay gives no right to %s",
			"the others go on; ask Almara Pay whether the service is permitted"},
	} {
		r, err := p.Store.RefusedBills(ctx, of.how)
		if err != nil {
			return nil, err
		}
		if r.Bills == 0 {
			continue
		}
		bills := CountOf(r.Bills, "bill")
		if r.Bills == store.MostRefused {
			bills = "at least " + bills
		}
		what := fmt.Sprintf(of.what, bills)
		all = append(all, Problem{
			Key: of.key,
			Text: fmt.Sprintf("%s, such as account %s of service %s since %s: %s; %s",
				what, r.Account, r.Service, p.day(r.Since), r.Said, of.end),
			Outside: fmt.Sprintf("%s since %s; %s", what, p.day(r.Since), of.end),
		})
	}
	return all, nil
}

// namedDestinations is how many destinations that the provider refuses are named.
const namedDestinations = 5

// Provider says what the provider refuses to single phones and countries, and
// which texts it has not settled for too long. serviceName words a service.
func (p Problems) Provider(
	ctx context.Context, reconcileAfter []time.Duration, serviceName func(service string) string,
) (all []Problem, err error) {
	const key, outside = "destinations", "the provider refuses %s; duewatch release names them, and says what to do"
	refused, more, err := p.Store.RefusedDestinations(ctx, p.Now(), namedDestinations)
	if err != nil {
		return nil, err
	}
	add := func(text string) {
		all = append(all, Problem{key, text, fmt.Sprintf(outside, CountOf(len(refused)+more, "destination"))})
	}
	for _, d := range refused {
		add(destinationSentence(d, serviceName) + "; it is tried again at " + p.hour(d.Until))
	}
	if more > 0 {
		add(fmt.Sprintf("the provider refuses %d more destinations: duewatch bills --held %s lists their bills",
			more, reminder.DestinationRefused))
	}
	if len(refused) > 0 {
		add(fmt.Sprintf("once that is mended, duewatch release --reason %s has the refused destinations tried at once",
			reminder.DestinationRefused))
	}
	long, err := p.Store.LongInDoubt(ctx, p.Now().Add(-scheduler.DoubtTooLong(reconcileAfter)))
	if err != nil {
		return nil, err
	}
	if long.Texts > 0 {
		what := fmt.Sprintf("%s in doubt since %s or later and not settled", CountOf(long.Texts, "text"), p.hour(long.Oldest))
		const why = "the provider's list gives no answer about their phones; the log says why"
		all = append(all, Problem{
			Key:     "in_doubt",
			Text:    fmt.Sprintf("%s, the oldest of %s account %s: %s", what, serviceName(long.Service), long.Account, why),
			Outside: what + ": " + why,
		})
	}
	return all, nil
}

func destinationSentence(d store.Destination, serviceName func(service string) string) string {
	code := ""
	if d.Code != 0 {
		code = fmt.Sprintf(" (code %d)", d.Code)
	}
	if d.Country != "" {
		return fmt.Sprintf("the provider refuses all phones of %s%s: %s", d.Country, code, d.Detail)
	}
	return fmt.Sprintf("the provider refuses the phone %s of %s account %s%s: %s", d.Phone, serviceName(d.Service), d.Account, code, d.Detail)
}

// GoesOn says when what is held for a reason is sent.
func GoesOn(r reminder.Reason) string {
	release := "duewatch release --reason " + string(r)
	switch r {
	case reminder.ModeIsOff:
		return "once notifier.mode is no longer off"
	case reminder.NotOnAllowlist:
		return "once notifier.allowlist has it, or notifier.mode is live"
	case reminder.InDoubt, reminder.ImplausibleBalance:
		return "by duewatch release ACCOUNT, when you have checked it"
	case reminder.MassPaid:
		return "once the biller's feed is right, or by " + release
	case reminder.CopiedStore, reminder.StoreWentBack, reminder.SenderChanged, reminder.MassRejected:
		return "by " + release
	case reminder.ClockUnsure:
		return "once the clock is right, or by " + release
	case reminder.MonthlyBudget:
		return "next month, or by " + release
	case reminder.TooLong, reminder.TemplateFails:
		return "once reminders.templates is mended"
	case reminder.DailyLimit, reminder.Surge:
		return "tomorrow, or by " + release
	case reminder.FailureRate, reminder.AccountFault, reminder.DestinationRefused,
		reminder.Throttled, reminder.ProviderUnreachable, reminder.RefusalUnclear:
		return "by itself, or by " + release
	default:
		return "by itself"
	}
}

// day is an instant with its day.
func (p Problems) day(t time.Time) string { return ShortTime(t, p.Now(), p.Policy.Zone) }

// hour is an hour of today, or else with its day.
func (p Problems) hour(t time.Time) string {
	zone := p.Policy.Zone
	if reminder.DateOf(t.In(zone)) == reminder.DateOf(p.Now().In(zone)) {
		return t.In(zone).Format("15:04")
	}
	return p.day(t)
}

// ShortTime is a day and an hour. It leaves the year out where it is this one.
func ShortTime(t, now time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	t = t.In(zone)
	if t.Year() == now.In(zone).Year() {
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006 15:04")
}

// CountOf is "1 bill", "2 bills".
func CountOf(n int, what string) string {
	switch stem, isY := strings.CutSuffix(what, "ry"); {
	case n == 1:
	case isY: // entry
		what = stem + "ries"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
