package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// work passes some time of a core.
func work(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// However much there is to count, it takes no more than its share of the time.
func TestCountingKeepsToItsShare(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]time.Duration{"small pieces": time.Millisecond, "large pieces": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var worked atomic.Int64
				c := newCounted("pieces", 20, time.Second, time.Second, slog.New(slog.DiscardHandler), func(ctx context.Context, w *worker) (*int, error) {
					for range 100 {
						work(piece)
						worked.Add(int64(piece))
						w.rest(ctx)
					}
					return new(1), ctx.Err()
				})
				ctx, cancel := context.WithCancel(t.Context())
				go c.run(ctx)
				const hours = 10 * time.Hour
				work(hours)
				cancel()
				synctest.Wait()
				if share := float64(worked.Load()) / float64(hours); share > .05 || share < .02 {
					t.Errorf("it took %.3f of the time, want a twentieth", share)
				}
			})
		})
	}
}

// Work that can wait, waits until others have had their turn.
func TestCountingWaitsForWhatGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turn := make(chan struct{})
		w := &worker{share: 1, began: time.Now(), await: func(context.Context) { <-turn }}
		rested := make(chan struct{})
		go func() { w.rest(t.Context()); close(rested) }()
		synctest.Wait()
		select {
		case <-rested:
			t.Error("it did not wait")
		default:
		}
		close(turn)
		<-rested
	})
}

func TestWhoLooksGetsWhatIsFreshAndDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		var takes atomic.Int64
		takes.Store(int64(10 * time.Millisecond))
		var fails atomic.Bool
		var log strings.Builder
		c := newCounted("n", 2, time.Minute, time.Hour, slog.New(slog.NewTextHandler(&log, nil)), func(context.Context, *worker) (*int64, error) {
			work(time.Duration(takes.Load()))
			if fails.Load() {
				return nil, errors.New("the store is away")
			}
			return new(n.Add(1)), nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.run(ctx)
		look := func() *int64 {
			waits, cancel := context.WithTimeout(t.Context(), pageWaits)
			defer cancel()
			before := time.Now()
			value := c.look(waits)
			if waited := time.Since(before); waited > pageWaits {
				t.Errorf("it waited %s", waited)
			}
			return value
		}
		if v := look(); v == nil || *v != 1 {
			t.Errorf("the first look sees %v, want the first count", v)
		}
		if v := look(); *v != 1 {
			t.Errorf("a count of a moment ago was made again: %d", *v)
		}
		work(61 * time.Second)
		if v := look(); *v != 2 {
			t.Errorf("after a minute it sees the count %d, want the second", *v)
		}
		takes.Store(int64(time.Second)) // and so it is not waited for the next time but one
		work(61 * time.Second)
		look()
		work(10 * time.Second)
		if v := look(); *v < 3 {
			t.Errorf("a slow count is not seen: %d", *v)
		}
		fails.Store(true)
		seen := n.Load()
		work(10 * time.Minute)
		if v := look(); v == nil || *v < seen {
			t.Errorf("a count that fails takes the last one away: %v", v)
		}
		cancel()
		synctest.Wait()
		if got := strings.Count(log.String(), "cannot be counted"); got != 1 {
			t.Errorf("the log says %d times that it fails, want once:\n%s", got, log.String())
		}
	})
}
