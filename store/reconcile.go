package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// UnknownText is a text of unknown outcome that should be looked up at the
// provider now.
type UnknownText struct {
	ID        int64
	Service   string // of its first bill
	Account   string // of all its bills
	SentTo    reminder.Phone
	Body      string
	CreatedAt time.Time
	// CompleteLists is how many complete lists did not show it.
	CompleteLists int
}

// UnknownTexts reads up to n texts in state unknown whose look-up has come, the
// longest waiting first.
func (s *Store) UnknownTexts(ctx context.Context, now time.Time, n int) ([]UnknownText, error) {
	rows := s.read(ctx).Query(`SELECT id, sent_to, body, created_at, polls FROM texts
		WHERE next_poll_at <= ?1 AND state = 'unknown' ORDER BY next_poll_at LIMIT ?2 + 0`, now.UnixMilli(), n)
	doubtful, err := db.Collect(rows, func(r db.Scanner) (d UnknownText, err error) {
		err = r.Scan(&d.ID, &d.SentTo, &d.Body, db.InstantTo(&d.CreatedAt), &d.CompleteLists)
		return d, err
	})
	if err != nil {
		return nil, err
	}
	of, err := namesOfBills(ctx, s, doubtful, func(d UnknownText) int64 { return d.ID })
	for i, d := range doubtful {
		doubtful[i].Service, doubtful[i].Account = of[d.ID].service, strings.Join(of[d.ID].accounts, ", ")
	}
	return doubtful, err
}

// LookUp is what the provider's message list says of a text in doubt.
type LookUp struct {
	TextID int64
	// CompleteLists is how many had been counted before this one. When another daemon has
	// counted one meanwhile, this one proves nothing more, unless it has found the text.
	CompleteLists int
	Found         []string // ids of messages that can be it, the likeliest first
	// Unclear are messages that may be it, and nobody can tell: while there is
	// one that no other text has, the text is not taken as not sent.
	Unclear []Message
	NextAt  time.Time // when to ask for its receipt, or to look it up again
	// Incomplete means that the list was not read to its end: it proves nothing, and
	// counts as no look-up.
	Incomplete bool
	// Last means that the text, when it is still not found, is taken as not
	// sent: its reminder is decided once more if Resend is set and this is its
	// first such text, and is otherwise held for the operator.
	Last   bool
	Resend bool
}

// Message is one of the provider's list.
type Message struct{ ProviderID, Body string }

// PutOffLookUp has a text in doubt whose look-up got no answer wait until next,
// behind those that wait for theirs.
func (s *Store) PutOffLookUp(textID int64, next time.Time) error {
	err := s.do(func(t *tx) error {
		_, err := t.Exec("UPDATE texts SET next_poll_at = ?2 WHERE id = ?1 AND state = 'unknown'", textID, next.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("put off a look-up: %w", err)
	}
	return nil
}

// RecordLookUp settles a text in doubt, or puts it off to its next look-up. It
// returns the state the text is in now. A message that another text has is
// never taken for it.
func (s *Store) RecordLookUp(now time.Time, l LookUp) (state TextState, err error) {
	err = s.do(func(t *tx) error {
		state, err = t.lookUp(now, l)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("settle text in doubt: %w", err)
	}
	return state, nil
}

func (t *tx) lookUp(now time.Time, l LookUp) (state TextState, err error) {
	var counted int
	if err := t.Row("SELECT state, polls FROM texts WHERE id = ?1", l.TextID).Scan(&state, &counted); err != nil {
		return "", fmt.Errorf("text %d: %w", l.TextID, err)
	}
	if state != Unknown {
		return state, nil // settled meanwhile
	}
	for _, id := range l.Found {
		adopted, err := t.Changed(`UPDATE texts
			SET state = 'accepted', provider_id = ?2, accepted_at = ?3, next_poll_at = ?4, polls = 0, error = ''
			WHERE id = ?1 AND state = 'unknown'
				AND NOT EXISTS (SELECT 1 FROM texts x
					WHERE x.phone_id = (SELECT phone_id FROM phones WHERE number = texts.sent_to) AND x.provider_id = ?2)
				AND NOT EXISTS (SELECT 1 FROM texts x WHERE x.sent_to = texts.sent_to AND x.sent_to <> x.phone AND x.provider_id = ?2)`,
			l.TextID, id, now.UnixMilli(), l.NextAt.UnixMilli())
		if err != nil {
			return "", err
		}
		if adopted {
			return Accepted, t.settleReminders(now, l.TextID, anyTries(SendOutcome{TextID: l.TextID, State: Accepted, ProviderID: id}))
		}
	}
	if counted != l.CompleteLists {
		return Unknown, nil
	}
	if !l.Last {
		counts := 1
		if l.Incomplete {
			counts = 0
		}
		_, err := t.Exec("UPDATE texts SET next_poll_at = ?2, polls = polls + ?3 WHERE id = ?1 AND state = 'unknown'",
			l.TextID, l.NextAt.UnixMilli(), counts)
		return Unknown, err
	}
	why, err := t.cannotTell(l)
	if err != nil {
		return "", err
	}
	if why != "" {
		l.Resend = false
	}
	if _, err := t.Exec(`UPDATE texts SET state = 'not_found', settled_at = ?2, next_poll_at = NULL,
			error = CASE WHEN ?3 = '' THEN error ELSE ?3 END WHERE id = ?1`,
		l.TextID, now.UnixMilli(), why); err != nil {
		return "", err
	}
	if err := t.takeBackUsage(l.TextID); err != nil {
		return "", err
	}
	var notAfter time.Time
	if err := t.Row("SELECT not_after FROM texts WHERE id = ?1", l.TextID).Scan(db.InstantTo(&notAfter)); err != nil {
		return "", err
	}
	return NotFound, t.settleReminders(now, l.TextID, func(tries int) SendOutcome {
		o := SendOutcome{
			TextID: l.TextID, State: NotFound, Tried: true, Hold: reminder.NotAtProvider, Until: now,
			Error: cmp.Or(why, "the provider does not have it"),
		}
		if tries > 0 || !l.Resend {
			o.Hold, o.Until = reminder.InDoubt, notAfter
		}
		return o
	})
}

// cannotTell says why a text that was not found may have been sent all the same;
// "" when nothing speaks for that. What another text of the phone has, by its id
// or by its words, is not this one.
func (t *tx) cannotTell(l LookUp) (why string, err error) {
	for _, m := range l.Unclear {
		var mine bool
		if err := t.Row(`SELECT NOT EXISTS (SELECT 1 FROM texts x WHERE x.id <> ?1
					AND x.phone_id = (SELECT phone_id FROM phones WHERE number = (SELECT sent_to FROM texts WHERE id = ?1))
					AND (x.provider_id = ?2 OR x.body = ?3 AND x.state <> 'refused'))
				AND NOT EXISTS (SELECT 1 FROM texts x WHERE x.sent_to = (SELECT sent_to FROM texts WHERE id = ?1) AND x.sent_to <> x.phone
					AND x.id <> ?1 AND x.provider_id = ?2)`,
			l.TextID, m.ProviderID, m.Body).Scan(&mine); err != nil {
			return "", err
		}
		if mine {
			return "nobody can tell whether it was sent: the provider has " + m.ProviderID + ", which may be it and cannot be compared", nil
		}
	}
	return "", nil
}

// LongInDoubt are texts in doubt that should have been settled long ago.
type LongInDoubt struct {
	Texts   int
	Oldest  time.Time
	Service string // of the oldest
	Account string
}

// LongInDoubt counts the texts that are in doubt since before an instant.
func (s *Store) LongInDoubt(ctx context.Context, before time.Time) (l LongInDoubt, err error) {
	rows := s.read(ctx).Query("SELECT id, created_at FROM texts WHERE "+inDoubt+
		" AND state = 'unknown' AND created_at < ?1 ORDER BY created_at", before.UnixMilli())
	all, err := db.Collect(rows, func(r db.Scanner) (d UnknownText, err error) {
		err = r.Scan(&d.ID, db.InstantTo(&d.CreatedAt))
		return d, err
	})
	if err != nil || len(all) == 0 {
		return l, err
	}
	of, err := namesOfBills(ctx, s, all[:1], func(d UnknownText) int64 { return d.ID })
	first := of[all[0].ID]
	return LongInDoubt{len(all), all[0].CreatedAt, first.service, strings.Join(first.accounts, ", ")}, err
}

// inDoubt is the condition of the index texts_in_doubt, to the letter: SQLite
// uses a partial index only where it finds its condition again.
const inDoubt = "state IN ('sending', 'unknown')"

// GiveBack gives back the texts in state sending of a process that knows that it
// never handed them over: all but those that it names. Their intents were
// committed although the commit seemed to fail, or nothing more could be written
// since. They are decided again at once. It returns how many there were.
func (s *Store) GiveBack(ctx context.Context, now time.Time, owner string, but map[int64]bool) (n int, err error) {
	const why = "it was never handed over: a fault of the store came first"
	rows := s.read(ctx).Query("SELECT id FROM texts WHERE "+inDoubt+" AND state = 'sending' AND owner = ?1", owner)
	ids, err := db.Collect(rows, db.ScanID)
	if err != nil {
		return 0, fmt.Errorf("find texts that were not handed over: %w", err)
	}
	var all []SendOutcome
	for _, id := range ids {
		if !but[id] {
			all = append(all, SendOutcome{TextID: id, State: Refused, Hold: reminder.NotHandedOver, Until: now, Error: why})
		}
	}
	if len(all) == 0 {
		return 0, nil
	}
	errs := s.RecordOutcomes(now, all)
	for _, err := range errs {
		if err == nil {
			n++
		}
	}
	return n, errors.Join(errs...)
}

// TextsInDoubt is how many texts may or may not have reached the provider, and since
// when the oldest of them.
type TextsInDoubt struct {
	Texts  int
	Oldest time.Time
}

// InDoubt counts the texts in state unknown.
func (s *Store) InDoubt(ctx context.Context) (d TextsInDoubt, err error) {
	err = s.read(ctx).Row("SELECT count(*), min(created_at) FROM texts WHERE "+inDoubt+" AND state = 'unknown'").
		Scan(&d.Texts, db.InstantTo(&d.Oldest))
	if err != nil {
		return d, fmt.Errorf("count texts in doubt: %w", err)
	}
	return d, nil
}
