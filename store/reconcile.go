package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"duewatch/reminder"
)

// Doubtful is a text of unknown outcome that should be looked up at the
// provider now.
type Doubtful struct {
	ID        int64
	Service   string // of its first bill
	Account   string // of all its bills
	SentTo    reminder.Phone
	Body      string
	CreatedAt time.Time
	Looks     int // how often it was looked up
}

// Doubtful reads up to n texts in state unknown whose look-up has come, the
// longest waiting first.
func (s *Store) Doubtful(ctx context.Context, now time.Time, n int) ([]Doubtful, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, sent_to, body, created_at, looks FROM texts
		WHERE next_look_at <= ?1 AND state = 'unknown' ORDER BY next_look_at LIMIT +?2`, now.UnixMilli(), n)
	if err != nil {
		return nil, fmt.Errorf("read texts in doubt: %w", explain(err))
	}
	doubtful, err := collect(rows, func(r row) (d Doubtful, err error) {
		err = r.Scan(&d.ID, &d.SentTo, &d.Body, instantColumn{&d.CreatedAt}, &d.Looks)
		return d, err //nolint:wrapcheck // names the column
	})
	if err != nil {
		return nil, err
	}
	of, err := whose(ctx, s, doubtful, func(d Doubtful) int64 { return d.ID })
	for i, d := range doubtful {
		doubtful[i].Service, doubtful[i].Account = of[d.ID].service, strings.Join(of[d.ID].accounts, ", ")
	}
	return doubtful, err
}

// LookUp is what the provider's message list says of a text in doubt.
type LookUp struct {
	TextID   int64
	Found    []string  // ids of messages that can be it, the likeliest first
	NextLook time.Time // when to ask for its receipt, or to look again
	// Last means that the text, when it is still not found, is taken as not
	// sent: its reminder is decided once more if Resend is set and this is its
	// first such text, and is otherwise held for the operator.
	Last   bool
	Resend bool
}

// RecordLookUp settles a text in doubt, or puts it off to its next look. It
// returns the state the text is in now. A message that another text has is
// never taken for it.
func (s *Store) RecordLookUp(_ context.Context, now time.Time, l LookUp) (state TextState, err error) {
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
	if err := t.row("SELECT state FROM texts WHERE id = ?1", l.TextID).Scan(&state); err != nil {
		return "", fmt.Errorf("text %d: %w", l.TextID, explain(err))
	}
	if state != Unknown {
		return state, nil // settled meanwhile
	}
	for _, id := range l.Found {
		adopted, err := t.changed(`UPDATE texts SET state = 'accepted', provider_id = ?2, accepted_at = ?3, next_look_at = ?4, looks = 0, error = ''
			WHERE id = ?1 AND state = 'unknown'
				AND NOT EXISTS (SELECT 1 FROM texts x WHERE x.phone_id = (SELECT phone_id FROM phones WHERE number = texts.sent_to) AND x.provider_id = ?2)
				AND NOT EXISTS (SELECT 1 FROM texts x WHERE x.sent_to = texts.sent_to AND x.sent_to <> x.phone AND x.provider_id = ?2)`,
			l.TextID, id, now.UnixMilli(), l.NextLook.UnixMilli())
		if err != nil {
			return "", err
		}
		if adopted {
			return Accepted, t.settleReminders(now, l.TextID, always(Outcome{TextID: l.TextID, State: Accepted, ProviderID: id}))
		}
	}
	if !l.Last {
		_, err := t.exec("UPDATE texts SET next_look_at = ?2, looks = looks + 1 WHERE id = ?1 AND state = 'unknown'", l.TextID, l.NextLook.UnixMilli())
		return Unknown, err
	}
	if _, err := t.exec("UPDATE texts SET state = 'not_found', settled_at = ?2, next_look_at = NULL WHERE id = ?1", l.TextID, now.UnixMilli()); err != nil {
		return "", err
	}
	if err := t.unused(l.TextID); err != nil {
		return "", err
	}
	var notAfter time.Time
	if err := t.row("SELECT not_after FROM texts WHERE id = ?1", l.TextID).Scan(instantColumn{&notAfter}); err != nil {
		return "", explain(err)
	}
	return NotFound, t.settleReminders(now, l.TextID, func(tries int) Outcome {
		o := Outcome{TextID: l.TextID, State: NotFound, Tried: true, Hold: reminder.NotAtProvider, Until: now, Error: "the provider does not have it"}
		if tries > 0 || !l.Resend {
			o.Hold, o.Until = reminder.InDoubt, notAfter
		}
		return o
	})
}
