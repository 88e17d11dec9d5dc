package cli

import (
	"context"
	"fmt"
	"time"

	"duewatch/reminder"
	"duewatch/scheduler"
	"duewatch/store"
)

// fewRefused is how many destinations that the provider refuses are named.
const fewRefused = 5

// providerSentences say what the provider refuses to single phones and countries,
// and which texts it has not settled for too long; name words a service.
func (a *app) providerSentences(
	ctx context.Context, s *store.Store, reconcileAfter []time.Duration, name nameOf, zone *time.Location,
) (all []string, err error) {
	now := a.now()
	refused, more, err := s.RefusedDestinations(ctx, now, fewRefused)
	if err != nil {
		return nil, err
	}
	for _, d := range refused {
		all = append(all, destinationSentence(d, name)+"; it is tried again at "+a.hour(d.Until, zone))
	}
	if more > 0 {
		all = append(all, fmt.Sprintf("the provider refuses %d more destinations: duewatch bills --held %s lists their bills",
			more, reminder.DestinationRefused))
	}
	if len(refused) > 0 {
		all = append(all, fmt.Sprintf("once that is mended, duewatch release --reason %s has the refused destinations tried at once",
			reminder.DestinationRefused))
	}
	long, err := s.LongInDoubt(ctx, now.Add(-scheduler.DoubtTooLong(reconcileAfter)))
	if err != nil {
		return nil, err
	}
	if long.Texts > 0 {
		all = append(all, fmt.Sprintf("%s in doubt since %s or later and not settled, the oldest of %s account %s: "+
			"the provider's list gives no answer about their phones; the log says why",
			countOf(long.Texts, "text"), a.hour(long.Oldest, zone), name(long.Service), long.Account))
	}
	return all, nil
}

// nameOf words a service.
type nameOf func(service string) string

func destinationSentence(d store.Destination, name nameOf) string {
	code := ""
	if d.Code != 0 {
		code = fmt.Sprintf(" (code %d)", d.Code)
	}
	if d.Country != "" {
		return fmt.Sprintf("the provider refuses all phones of %s%s: %s", d.Country, code, d.Detail)
	}
	return fmt.Sprintf("the provider refuses the phone %s of %s account %s%s: %s", d.Phone, name(d.Service), d.Account, code, d.Detail)
}

// hour is an hour of today, or else with its day.
func (a *app) hour(t time.Time, zone *time.Location) string {
	if reminder.DateOf(t.In(zone)) == reminder.DateOf(a.now().In(zone)) {
		return t.In(zone).Format("15:04")
	}
	return a.shortTime(t, zone)
}
