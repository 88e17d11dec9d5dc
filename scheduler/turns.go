package scheduler

import (
	"context"
	"math"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// queue reads bills that are due to be asked about, from a place on.
type queue func(ctx context.Context, now time.Time, after store.Place, n int) ([]reminder.Bill, store.Place, error)

// turns hands out the bills of a queue for one pass: those that have waited
// longest first, or from several places by turns.
type turns struct {
	read    queue
	portion store.Portion // of this daemon
	lines   []line
}

// line is one of the places from which bills are taken.
type line struct {
	place store.Place
	done  bool
}

// The lines of a pass after one that was cut short. The first three share the bills
// that were due before that: the front ends where the middle began; the middle and
// the back go towards each other. Behind them are those that failed since, and new
// ones.
const (
	front = iota
	middle
	back
	since
)

// turnsOf begins the turns of a pass.
func (s *Scheduler) turnsOf(ctx context.Context, j *job, q queue, portion store.Portion) (*turns, error) {
	if !j.wasCutShort {
		return &turns{q, portion, []line{{}}}, nil
	}
	// Multiples of the golden ratio: each place is far from those before.
	j.cuts++
	_, share := math.Modf(float64(j.cuts) * math.Phi)
	_, start, err := q(ctx, j.cutSince, store.PlaceAt(share), 0)
	if err == nil && start.IsZero() { // all of them had their turn
		j.cutSince = s.Now()
		_, start, err = q(ctx, j.cutSince, store.PlaceAt(share), 0)
	}
	if err != nil {
		return nil, err
	}
	behind := store.PlaceAfter(j.cutSince)
	return &turns{q, portion, []line{
		front:  {place: store.Place{}.Until(start)},
		middle: {place: start},
		back:   {place: behind.Backwards()},
		since:  {place: behind},
	}}, nil
}

// next takes up to n bills, of each line one by turns, and reports whether there
// may be more.
func (t *turns) next(ctx context.Context, now time.Time, n int) (bills []reminder.Bill, more bool, err error) {
	each := max(1, n/len(t.lines))
	taken := make([][]reminder.Bill, len(t.lines))
	for i := range t.lines {
		if taken[i], err = t.take(ctx, now, i, each); err != nil {
			return nil, false, err
		}
		more = more || !t.lines[i].done
	}
	for k := range each {
		for _, of := range taken {
			if k < len(of) {
				bills = append(bills, of[k])
			}
		}
	}
	return bills, more, nil
}

// sample takes one bill of each line, as many as there must be witnesses: of more,
// those that failed before might speak before the others do.
func (t *turns) sample(ctx context.Context, now time.Time) (bills []reminder.Bill, err error) {
	for i := range t.lines {
		if len(bills) == reminder.EnoughWitnesses {
			break
		}
		taken, err := t.take(ctx, now, i, 1)
		if err != nil {
			return nil, err
		}
		bills = append(bills, taken...)
	}
	return bills, nil
}

// take takes up to n bills of a line.
func (t *turns) take(ctx context.Context, now time.Time, i, n int) (bills []reminder.Bill, err error) {
	l := &t.lines[i]
	if l.done {
		return nil, nil
	}
	place := l.place
	switch {
	case len(t.lines) == 1:
	case i == middle:
		place = place.Until(t.lines[back].place)
	case i == back:
		place = place.Until(t.lines[middle].place)
	}
	bills, l.place, err = t.read(ctx, now, place.In(t.portion), n)
	l.done = len(bills) < n
	return bills, err
}
