package scheduler

import (
	"context"
	"fmt"

	"duewatch/reminder"
)

// metaSender is the fact by which a store knows whose texts it keeps.
const metaSender = "sender"

// RememberSender are the facts to write when the operator says that a store
// belongs to this sender from now on.
func RememberSender(sender string) map[string]string { return map[string]string{metaSender: sender} }

// stopIfSenderChanged stops sending when the account, the sender or the mode is not
// the one that this store's texts went out by: a copy of a store must not
// start to text people because its config was copied, or mended, by halves.
func (s *Scheduler) stopIfSenderChanged(ctx context.Context) error {
	if s.Delivery.Mode == reminder.ModeOff {
		return nil
	}
	have, err := s.Store.Meta(ctx, metaSender)
	switch {
	case err != nil:
		return err
	case have == "":
		return s.Store.SetMeta(metaSender, s.SentBy)
	case have == s.SentBy:
		return s.Store.EndStop(reminder.SenderChanged)
	}
	s.Log.Error("sending is stopped: this store belongs to another sender", "until_now", have, "now", s.SentBy)
	return s.Store.StopSending(s.Now(), reminder.Stop{Reason: reminder.SenderChanged,
		Detail: fmt.Sprintf("this store's texts went out by %s, and the config now says %s", have, s.SentBy)})
}
