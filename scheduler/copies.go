package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// How far the provider's list is read at the start: the newest messages, and,
// once one of them turns out to be a stranger, many more. Further back than
// compareBack no stage lies that might be sent all the same.
const (
	compareFirst = 2000
	compareMost  = 200_000
	compareBack  = 70 * 24 * time.Hour
)

// metaSender is the fact by which a store knows whose texts it keeps.
const metaSender = "sender"

// RememberSender are the facts to write when the operator says that a store
// belongs to this sender from now on.
func RememberSender(sender string) map[string]string { return map[string]string{metaSender: sender} }

// checkSender stops sending when the account, the sender or the mode is not
// the one that this store's texts went out by: a copy of a store must not
// start to text people because its config was copied, or mended, by halves.
func (s *Scheduler) checkSender(ctx context.Context) error {
	if s.Delivery.Mode == reminder.ModeOff {
		return nil
	}
	have, err := s.Store.Meta(ctx, metaSender)
	switch {
	case err != nil:
		return err
	case have == "":
		return s.Store.SetMeta(ctx, metaSender, s.Sender)
	case have == s.Sender:
		return s.Store.EndStop(ctx, reminder.SenderChanged)
	}
	s.Log.Error("sending is stopped: this store belongs to another sender", "until_now", have, "now", s.Sender)
	return s.Store.StopSending(ctx, s.Now(), reminder.Stop{Reason: reminder.SenderChanged,
		Detail: fmt.Sprintf("this store's texts went out by %s, and the config now says %s", have, s.Sender)})
}

// compare reads, before the first text of a run, what the provider has sent of
// late. Texts about our bills that this store does not know mean that it is a
// copy, or was restored from a backup: it would text everyone again. Then
// sending is stopped until the operator has looked, and what was sent
// elsewhere is not sent again in any case. While the list cannot be read,
// nothing leaves: the error is a *halt then, and decisions go on.
func (s *Scheduler) compare(ctx context.Context, j *job) error {
	if s.compared || s.Delivery.Mode == reminder.ModeOff || s.Delivery.Mode == reminder.ModeRedirect {
		return nil
	}
	now := s.Now()
	found, detail, err := s.strangers(ctx, j, compareFirst)
	if err == nil && len(found) > 0 {
		// None of them may be sent again once the operator lets texts go.
		found, detail, err = s.strangers(ctx, j, compareMost)
	}
	if list := (*notifier.Error)(nil); errors.As(err, &list) {
		return s.cannotCompare(ctx, err, now)
	}
	if err != nil {
		return err
	}
	news, err := s.Store.RecordStrangers(ctx, now, found, reminder.Stop{Reason: reminder.CopiedStore, Detail: detail})
	if err != nil {
		return err
	}
	if news > 0 {
		s.Log.Error("sending is stopped: the provider has texts that this store does not know. Is it a copy, or was it restored? `duewatch release` lists them", "texts", news)
	}
	s.compared = true
	return nil
}

// cannotCompare keeps texts back until the list was read.
func (s *Scheduler) cannotCompare(ctx context.Context, err error, now time.Time) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // stopping
	}
	h := &halt{reminder.ProviderUnreachable, now.Add(retryUnreachable), fmt.Errorf("before the first text the provider's list is compared with the store, and it cannot be read: %w", err)}
	if errors.Is(err, notifier.ErrStop) {
		h.reason, h.until = reminder.AccountFault, now.Add(retryAccount)
	}
	return errors.Join(h, s.Store.StopSending(ctx, now, *h.stop()))
}

// strangers reads the provider's list and picks the messages that read like
// our reminders of our bills and are no texts of this store.
func (s *Scheduler) strangers(ctx context.Context, j *job, most int) (found []store.Stranger, detail string, err error) {
	alive := func() { j.beat() }
	q := notifier.Query{Since: s.Now().Add(-compareBack), MaxMessages: compareFirst, OnPage: alive}
	listed, complete, err := s.Notifier.List(ctx, q)
	if err == nil && !complete {
		// What has been sent, as far back as asked for; the list above has
		// what still waits at the provider. A day more, since the provider
		// filters by whole days.
		q.SentSince, q.MaxMessages = q.Since.AddDate(0, 0, -1), most
		var sent []notifier.Listed
		sent, _, err = s.Notifier.List(ctx, q)
		listed = append(listed, sent...)
	}
	if err != nil {
		return nil, "", err //nolint:wrapcheck // says all
	}
	seen := make(map[string]bool, len(listed))
	for _, m := range listed {
		alive()
		if seen[m.SID] || m.Status == "failed" || m.Status == "undelivered" || m.Status == "canceled" {
			continue // the customer does not have it
		}
		seen[m.SID] = true
		known, err := s.Store.Knows(ctx, m.SID, m.To, m.Body)
		if err != nil {
			return nil, "", err
		}
		if known {
			continue
		}
		bills, err := s.Store.BillsOf(ctx, m.To)
		if err != nil {
			return nil, "", err
		}
		for _, b := range bills {
			if p := s.Policies.For(b.Service); p.Recognizes(b, m.Body, reminder.DateOf(m.CreatedAt.In(p.Zone))) {
				found = append(found, store.Stranger{ProviderID: m.SID, BillID: b.ID, At: m.CreatedAt})
				detail = fmt.Sprintf("the provider has texts that this store does not know: %d of late, such as %s for account %s",
					len(found), m.SID, b.Account)
			}
		}
	}
	if len(listed) >= compareMost {
		detail += fmt.Sprintf("; the list was read no further than its newest %d messages, and what is older may be sent again", compareMost)
	}
	return found, detail, nil
}
