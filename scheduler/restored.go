package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"duewatch/notifier"
	"duewatch/reminder"
	"duewatch/store"
)

// How far the provider's list is read at the start: the newest messages, and,
// once one of them turns out to be foreign, many more. Further back than
// compareBack no stage lies that might be sent all the same.
const (
	compareFirst = 2000
	compareMost  = 200_000
	compareBack  = 70 * 24 * time.Hour
)

// Comparison remembers that the provider's list was compared with the store. It belongs
// to the process and not to one Scheduler: a process that ran on has the store that it
// had, so a reload is no reason to compare again. On an account that other programs share
// and that shows no words, each further comparison would stop sending for a message of
// theirs. The zero value has not compared yet.
type Comparison struct {
	mu   sync.Mutex
	done *comparedBy // nil = not yet
}

// comparedBy is what a comparison was made by: another sender may have another list, and
// under a clock that was set meanwhile the machine may be a copy that was resumed.
type comparedBy struct {
	sentBy string
	sets   int // how often the clock had been set
}

func (c *Comparison) isDone(by comparedBy) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done != nil && *c.done == by
}

func (c *Comparison) finish(by comparedBy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = &by
}

func (c *Comparison) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = nil
}

// laterBack is how far back a message without words may lie and still have been
// about a stage that is sent now: it may have joined a text some days ahead.
const laterBack = (reminder.MaxBundleDays + 2) * 24 * time.Hour

// checkForeignMessages reads what the provider has sent of late, before the first text
// of a process and after the clock was set. Texts about our bills that this store does
// not know mean that it is a copy, or was restored from a backup: it would text everyone
// again. Then sending is stopped until the operator has looked into it, and what was sent
// elsewhere is not sent again in any case. While the list cannot be read sending is
// stopped as well, and listFault says why.
func (s *Scheduler) checkForeignMessages(ctx context.Context, j *job, clock clockState) (listFault, err error) {
	by := comparedBy{s.SentBy, clock.sets}
	if s.Comparison.isDone(by) || s.Delivery.Mode == reminder.ModeOff || s.Delivery.Mode == reminder.ModeRedirect {
		return nil, nil
	}
	now := s.Now()
	loss, err := s.Store.Loss(ctx)
	if err != nil {
		return nil, err
	}
	if now.Before(s.comparableFrom(loss)) {
		return nil, errNotCompared
	}
	if done, err := s.comparedByOthers(ctx, by); err != nil || done {
		return nil, err
	}
	found, err := s.findForeignMessages(ctx, j, compareFirst)
	if err == nil && found.any() {
		// None of them may be sent again once the operator lets texts go.
		found, err = s.findForeignMessages(ctx, j, compareMost)
	}
	if list := (*notifier.Error)(nil); errors.As(err, &list) {
		if ctx.Err() != nil {
			return nil, nil //nolint:nilerr // stopping
		}
		return s.stopUntilListIsRead(ctx, err, now)
	}
	if err != nil {
		return nil, err
	}
	stop := reminder.Stop{Reason: reminder.CopiedStore, Detail: found.detail}
	if waits, err := s.stopsForLoss(ctx, now); err != nil {
		return nil, err
	} else if waits {
		stop.Reason = reminder.StoreWentBack // whose release is for both
	}
	news, err := s.Store.RecordForeignMessages(now, found.ofBills, stop)
	if err != nil {
		return nil, err
	}
	if err := s.Store.KeepForeignMessages(found.maybeLater); err != nil {
		return nil, err
	}
	more, err := s.Store.RecordUnattributed(now, found.unattributed, stop)
	if err != nil {
		return nil, err
	}
	if news+more > 0 {
		s.Log.Error("sending is stopped: the provider has texts that this store does not know. "+
			"Is it a copy, or was it restored? `duewatch release` lists them", "texts", news+more)
	}
	return nil, s.compared(ctx, by)
}

// compared notes that the list was compared, for the others first: they wait for it.
func (s *Scheduler) compared(ctx context.Context, by comparedBy) error {
	if err := s.Store.Compared(ctx, s.SentBy); err != nil {
		return err
	}
	s.Comparison.finish(by)
	return nil
}

// errNotCompared ends a pass before its first text: the leader has yet to compare, or the list
// may not show yet what it is to be compared for.
var errNotCompared = errors.New("the provider's list was not compared with the store yet")

// comparedByOthers reports whether another daemon that works has compared the list: the store
// that it writes to is this one. Of several that begin together the leader compares, and the
// others wait: a text that one of them has just handed over might look like another store's.
func (s *Scheduler) comparedByOthers(ctx context.Context, by comparedBy) (bool, error) {
	members, err := s.Store.Members(ctx)
	if err != nil {
		return false, err
	}
	lead := len(members) == 0
	for _, m := range members {
		if m.Decides && m.Lives && !m.Self && m.Compared == s.SentBy {
			return true, s.compared(ctx, by)
		}
		lead = lead || m.Leads && m.Self
	}
	if !lead {
		return false, errNotCompared
	}
	return false, nil
}

// stopUntilListIsRead keeps texts back until the next pass has read the list, or leaves that to
// others that may reach it. The second error ends the pass: it does so, or the store could not take
// the stop.
func (s *Scheduler) stopUntilListIsRead(ctx context.Context, why error, now time.Time) (listFault, err error) {
	why = fmt.Errorf("before the first text the provider's list is compared with the store, and it cannot be read: %w", why)
	stopped := &stoppedError{reason: reminder.ProviderUnreachable, until: now.Add(retryUnreachable), err: why}
	if errors.Is(why, notifier.ErrStop) {
		stopped.reason, stopped.until = reminder.AccountFault, now.Add(retryAccount)
	}
	if stopped.reason == reminder.ProviderUnreachable {
		if others, err := s.stepAside(ctx, stopped); err != nil || others {
			return nil, cmp.Or(err, leftToOthers(stopped))
		}
	}
	return stopped, s.Store.StopSending(now, *stopped.asStop())
}

// foreignMessages are the messages of the provider's list that this store does not know and
// that are, or may be, reminders of its bills.
type foreignMessages struct {
	ofBills      []store.ForeignMessage // each about a bill
	unattributed []store.ForeignMessage // the list shows neither phone nor words: they may be about any bill
	maybeLater   []store.ForeignMessage // without words, to a phone of a bill with no stage near it: one may come
	detail       string                 // for the operator
}

func (f *foreignMessages) any() bool { return len(f.ofBills)+len(f.unattributed) > 0 }

// findForeignMessages reads the provider's list, its newest messages up to most, and
// picks those that are no texts of this store and read like reminders of its bills, or
// cannot be read and came when one was due.
func (s *Scheduler) findForeignMessages(ctx context.Context, j *job, most int) (foreignMessages, error) {
	since := s.Now().Add(-compareBack)
	listed, err := s.listSince(ctx, j, since, most)
	if err != nil {
		return foreignMessages{}, err
	}
	c := comparison{Scheduler: s, since: since, recent: s.Now().Add(-laterBack), unfound: make(map[reminder.Phone][]time.Time)}
	compared := make(map[string]bool, len(listed)) // by the provider's id: one may be listed twice
	for _, m := range listed {
		j.heartbeat()
		if compared[m.SID] || m.Status == "failed" || m.Status == "undelivered" || m.Status == "canceled" {
			continue // the customer does not have it
		}
		compared[m.SID] = true
		if err := c.compare(ctx, m); err != nil {
			return foreignMessages{}, err
		}
	}
	found := c.found
	if found.any() {
		found.detail = fmt.Sprintf("the provider has texts that this store does not know: %d of late, such as %s",
			len(found.ofBills)+len(found.unattributed), c.example)
	}
	if len(found.unattributed) > 0 {
		found.detail += fmt.Sprintf("; %d show neither phone nor words, and nobody can tell from here whom they went to: "+
			"look at the provider's own log", len(found.unattributed))
	}
	if len(listed) >= compareMost {
		found.detail += fmt.Sprintf("; the list was read no further than its newest %d messages, "+
			"and what is older may be sent again", compareMost)
	}
	return found, nil
}

// listSince reads the provider's list, its newest messages up to most.
func (s *Scheduler) listSince(ctx context.Context, j *job, since time.Time, most int) ([]notifier.Listed, error) {
	q := notifier.Query{Since: since, MaxMessages: compareFirst, OnPage: j.heartbeat}
	listed, complete, err := s.Notifier.List(ctx, q)
	if err != nil || complete {
		return listed, err
	}
	// What has been sent, as far back as asked for; the list above has what still waits
	// at the provider. A day more, since the provider filters by whole days.
	q.SentSince, q.MaxMessages = since.AddDate(0, 0, -1), most
	sent, _, err := s.Notifier.List(ctx, q)
	return append(listed, sent...), err
}

// comparison holds the provider's list against the store, message by message.
type comparison struct {
	*Scheduler
	since   time.Time
	recent  time.Time                      // messages before it are near no stage that may still come
	ids     map[string]bool                // of the store's messages; nil until a masked phone asks for them
	unfound map[reminder.Phone][]time.Time // texts without a message, each of which accounts for one that cannot be read

	found   foreignMessages
	example string // one of them, for the operator
}

// compare adds a message to what was found, unless the store knows it or it is about
// no bill.
func (c *comparison) compare(ctx context.Context, m notifier.Listed) error {
	if m.Masked {
		return c.compareMasked(ctx, m)
	}
	if known, err := c.Store.Knows(ctx, m.SID, m.To, m.Body); err != nil || known {
		return err
	}
	readable := m.Readable()
	if !readable {
		if accounted, err := c.ofTextInDoubt(ctx, m); err != nil || accounted {
			return err
		}
	}
	bills, err := c.Store.BillsOf(ctx, m.To)
	if err != nil {
		return err
	}
	for _, b := range bills {
		p := c.Policies.For(b.Service)
		switch {
		case readable && p.MatchesReminder(b, m.Body, reminder.DateOf(m.CreatedAt.In(p.Zone))), !readable && p.InReach(b, m.CreatedAt):
			c.add(b, m)
		case !readable && m.CreatedAt.After(c.recent):
			c.found.maybeLater = append(c.found.maybeLater, store.ForeignMessage{ProviderID: m.SID, BillID: b.ID, At: m.CreatedAt})
		}
	}
	return nil
}

func (c *comparison) add(b reminder.Bill, m notifier.Listed) {
	c.found.ofBills = append(c.found.ofBills, store.ForeignMessage{ProviderID: m.SID, BillID: b.ID, At: m.CreatedAt})
	c.example = fmt.Sprintf("%s for account %s", m.SID, b.Account)
}

// compareMasked is compare for a message of which the list shows no phone: the store
// knows it by its id alone, and its bills are those that it names.
func (c *comparison) compareMasked(ctx context.Context, m notifier.Listed) (err error) {
	if c.ids == nil {
		if c.ids, err = c.Store.KnowsByID(ctx, c.since.Add(-messageDateSlack)); err != nil {
			return err
		}
	}
	switch {
	case c.ids[m.SID]:
		return nil
	case m.Readable():
		return c.addNamed(ctx, m)
	}
	c.found.unattributed = append(c.found.unattributed, store.ForeignMessage{ProviderID: m.SID, At: m.CreatedAt})
	c.example = cmp.Or(c.example, m.SID)
	return nil
}

// addNamed adds a readable message for each bill that it names, whoever had it.
func (c *comparison) addNamed(ctx context.Context, m notifier.Listed) error {
	tried := make(map[string]bool)
	for _, word := range strings.FieldsFunc(m.Body, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("(),.:;", r) }) {
		if tried[word] || !strings.ContainsFunc(word, unicode.IsDigit) {
			continue
		}
		tried[word] = true
		bills, err := c.Store.BillsOfAccount(ctx, word)
		if err != nil {
			return err
		}
		for _, b := range bills {
			if p := c.Policies.For(b.Service); p.MatchesReminder(b, m.Body, reminder.DateOf(m.CreatedAt.In(p.Zone))) {
				c.add(b, m)
			}
		}
	}
	return nil
}

// ofTextInDoubt reports whether a message without words may be that of a text whose
// answer was lost: lookUpUnknownTexts settles that one. Each such text accounts for one
// message, or a restored store would take many for it.
func (c *comparison) ofTextInDoubt(ctx context.Context, m notifier.Listed) (bool, error) {
	texts, read := c.unfound[m.To]
	if !read {
		var err error
		if texts, err = c.Store.Unfound(ctx, m.To); err != nil {
			return false, err
		}
	}
	i := slices.IndexFunc(texts, func(created time.Time) bool {
		return !m.CreatedAt.Before(created.Add(-messageDateSlack)) && m.CreatedAt.Before(created.Add(messageDateSlack))
	})
	if i >= 0 {
		texts = slices.Delete(texts, i, i+1)
	}
	c.unfound[m.To] = texts
	return i >= 0, nil
}
