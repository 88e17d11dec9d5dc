package cli

import (
	"context"
	"fmt"
	"time"

	"duewatch/store"
)

// refusedSentences say which bills Almara Pay refuses without rejecting them, and
// what to do: others go on, so nothing else tells of them.
func (a *app) refusedSentences(ctx context.Context, s *store.Store, zone *time.Location) (all []string, err error) {
	for _, of := range []struct {
		how       store.Refusal
		what, end string
	}{
		{store.Unclear, "Almara Pay refuses %s in a form that is not known", "such a bill is rejected when that is said on another day and others are answered; " +
			"mend the account where it comes from, or duewatch retry ACCOUNT"},
		{store.Forbidden, "Almara Pay gives no right to %s", "the others go on; ask Almara Pay whether the service is permitted"},
	} {
		r, err := s.RefusedBills(ctx, of.how)
		if err != nil {
			return nil, err
		}
		if r.Bills == 0 {
			continue
		}
		bills := countOf(r.Bills, "bill")
		if r.Bills == store.MostRefused {
			bills = "at least " + bills
		}
		all = append(all, fmt.Sprintf(of.what+", such as account %s of service %s since %s: %s; %s",
			bills, r.Account, r.Service, a.shortTime(r.Since, zone), r.Said, of.end))
	}
	return all, nil
}
