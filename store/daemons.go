package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// Several daemons may work on one database of a PostgreSQL server. Each transaction that
// writes, of whichever of them, holds the same lock, so that what is decided is decided as by
// one. What follows is what they have to know of each other beside that. A file has one
// daemon, which leads and has all of the work.

// Member is one of the daemons that work on a database.
type Member = db.Member

// Owner names this daemon on what it claims; "" in a command.
func (s *Store) Owner() string { return s.db.Owner() }

// Members are the daemons that work on the database, those that are there longest first. A
// file has one, which is not listed.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	all, err := s.db.Members(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the daemons: %w", err)
	}
	return all, nil
}

// AnyDead reports whether another daemon is not heard of any more, as of the last OthersWrote.
func (s *Store) AnyDead() bool { return s.db.AnyDead() }

// Decide has this daemon work by a config, and reports whether it may. While others work by
// another one, or where it is not able to work, it waits: it writes nothing, leads nobody, and asks
// again. One that texts customers does not wait for those that do not. version is that of duewatch, for
// people.
func (s *Store) Decide(ctx context.Context, version, config string, mode reminder.Mode, able bool) (may bool, err error) {
	return s.db.Decide(ctx, version, config, string(mode), able)
}

// ClockAhead is by how much the clock of the database's server is ahead of this machine's; 0
// for a file.
func (s *Store) ClockAhead() time.Duration { return s.db.ClockAhead() }

// Leads reports whether this daemon is the one that does what one alone does. Another one may
// still take itself for it for a moment: whatever the leader writes is guarded by the state of
// what it writes about.
func (s *Store) Leads(ctx context.Context) (bool, error) {
	all, err := s.Members(ctx)
	return err == nil && (len(all) == 0 || slices.ContainsFunc(all, func(m Member) bool { return m.Leads && m.Self })), err
}

// Portion is which of the bills a daemon asks Almara Pay about: those whose id leaves Index when
// divided by Of.
type Portion struct {
	Index, Of int
	Works     bool // this daemon is one of those that work, and has a portion
	Aside     bool // by StepAside
}

// Portion is that of this daemon among those that work.
func (s *Store) Portion(ctx context.Context) (p Portion, err error) {
	all, err := s.Members(ctx)
	p.Works = err == nil && len(all) == 0 // a file's
	for _, m := range all {
		if m.Self {
			p.Index, p.Works, p.Aside = p.Of, m.Works, m.Aside != ""
		}
		if m.Works {
			p.Of++
		}
	}
	return p, err
}

// StepAside has this daemon leave its work to the others for a reason, and reports whether there are
// any that can do it, or can say why they cannot: those lead, and have its portion of the bills, until
// StepBack. One that does not reach the provider says so, and one whose clock nobody believes leaves
// that to it.
func (s *Store) StepAside(ctx context.Context, why reminder.Reason) (others bool, err error) {
	if others, err = s.db.StepAside(ctx, string(why)); err != nil {
		return false, fmt.Errorf("leave the work to the other daemons: %w", err)
	}
	return others, nil
}

// StepBack has this daemon do its part again.
func (s *Store) StepBack(ctx context.Context) error {
	if err := s.db.StepBack(ctx); err != nil {
		return fmt.Errorf("share the work with the other daemons again: %w", err)
	}
	return nil
}

// Compared notes that the provider's list of a sender was compared with the store, by this daemon
// or by one that works beside it: since then the store was never without one of them.
func (s *Store) Compared(ctx context.Context, sender string) error { return s.db.Compared(ctx, sender) }

// Displace has the daemons of a config work, and those of any other wait: the operator says
// so, who has seen in what they differ.
func (s *Store) Displace(config string) error {
	if err := s.do(func(t *tx) error { return t.Displace(config) }); err != nil {
		return fmt.Errorf("have the daemons of another config work: %w", err)
	}
	return nil
}

// TakeOver takes over what dead daemons have left, and what an earlier generation of this one
// has: a generation is what follows the name of the daemon in owner. Bills that they had claimed
// are due. Texts that they had in state sending, or that this generation has for longer than their
// lease, become unknown: whether they reached the provider, nobody can say from here. They are
// looked up there at nextLook. It returns how many those are.
func (s *Store) TakeOver(now time.Time, owner string, nextLook time.Time) (orphans int, err error) {
	err = s.do(func(t *tx) error {
		living, err := t.TakeOver()
		if err != nil {
			return err
		}
		self, _, _ := strings.Cut(owner, "-")
		var others []string // that live
		for _, m := range living {
			if m.Owner != self {
				others = append(others, m.Owner)
			}
		}
		if err := t.freeAllBut(now, owner, others); err != nil {
			return err
		}
		orphans, err = t.markOrphans(now, nextLook, func(claimedBy string) bool {
			process, _, _ := strings.Cut(claimedBy, "-")
			return claimedBy != owner && !slices.Contains(others, process)
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("take over what dead daemons have left: %w", err)
	}
	return orphans, nil
}

// freeAllBut gives back the bills that nobody works on who lives.
func (t *tx) freeAllBut(now time.Time, owner string, others []string) error {
	condition, args := "owner IS NOT NULL AND owner <> ?2", []any{now.UnixMilli(), owner}
	for _, other := range others { // with any generation: "." follows "-"
		condition += fmt.Sprintf(" AND NOT (owner > ?%d AND owner < ?%d)", len(args)+1, len(args)+2)
		args = append(args, other+"-", other+".")
	}
	_, err := t.Exec(freeClaims+condition, args...)
	return err
}

// markOrphans makes unknown the texts that those who are dead have left in state sending, and
// those that are past their lease.
func (t *tx) markOrphans(now, nextLook time.Time, isDead func(owner string) bool) (n int, err error) {
	type sending struct {
		id      int64
		owner   string
		expired bool
	}
	rows := t.Query("SELECT id, owner, lease_until < ?1 FROM texts WHERE "+inDoubt+" AND state = 'sending'", now.UnixMilli())
	all, err := db.Collect(rows, func(r db.Scanner) (x sending, err error) {
		return x, r.Scan(&x.id, db.TextTo(&x.owner), db.FlagTo(&x.expired))
	})
	if err != nil {
		return 0, err
	}
	for _, x := range all {
		if !x.expired && !isDead(x.owner) {
			continue
		}
		const why = "duewatch ended while the provider was being called"
		if _, err := t.Exec(`UPDATE texts SET state = 'unknown', error = ?2, next_poll_at = ?3, refused_for = ?4
			WHERE id = ?1 AND state = 'sending'`, x.id, why, nextLook.UnixMilli(), reminder.ShuttingDown); err != nil {
			return 0, err
		}
		if err := t.settleReminders(now, x.id, anyTries(SendOutcome{TextID: x.id, State: Unknown, Error: why})); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
