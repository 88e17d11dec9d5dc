package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store/db/pgtest"
)

// slowCommits has each transaction that reserves turns take up to 50 ms to commit, as a disk or a
// standby may.
const slowCommits = `CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_sleep(0.05 * random()); RETURN NULL; END';
	CREATE CONSTRAINT TRIGGER slow AFTER UPDATE OF paced_to ON write_lock DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION take_long()`

// reserveTogether has three daemons reserve turns at once, for rounds of the remind job and for
// texts that have missed their turns. It returns all texts with their turns, in their order. pause
// is how long each waits before its next round.
func reserveTogether(t *testing.T, perSecond float64, rounds int, pause time.Duration) (all []Text) {
	t.Helper()
	server, err := pgtest.Shared()
	if errors.Is(err, pgtest.ErrNotInstalled) {
		t.Skip(err)
	}
	mustDo(t, err)
	ctx := context.WithoutCancel(t.Context())
	address := must(server.Create(ctx, "pace", ""))
	defer func() { mustDo(t, server.Drop(ctx, "pace")) }()
	var (
		mu      sync.Mutex
		working sync.WaitGroup
		opened  []*Store
	)
	defer func() {
		for _, s := range opened {
			mustDo(t, s.Close())
		}
	}()
	for daemon := range 3 {
		s := must(Open(ctx, address))
		opened = append(opened, s)
		if daemon == 0 {
			mustDo(t, pgtest.Exec(ctx, address, slowCommits))
		}
		must(s.Decide(ctx, "0.1.0", "one config", reminder.ModeLive, true))
		for writer := range 2 { // of one daemon, whose writes may share a transaction
			dice := rand.New(rand.NewPCG(uint64(daemon), uint64(writer)))
			working.Go(func() {
				for range rounds {
					missed := dice.IntN(4) == 0
					texts := make([]Text, 20+dice.IntN(60))
					if missed {
						texts = texts[:5]
					}
					for i := range texts {
						texts[i].Segments = 1 + dice.IntN(longestText)
					}
					if err := s.reserve(texts, perSecond, missed); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					all = append(all, texts...)
					mu.Unlock()
					<-time.After(time.Duration(dice.Int64N(int64(pause) + 1)))
				}
			})
		}
	}
	working.Wait()
	slices.SortFunc(all, func(a, b Text) int { return a.Turn.Compare(b.Turn) })
	return all
}

const longestText = 6 // segments

// reserve is what DecideDue does for the texts of a round or, missed, what the scheduler does for
// each that has missed its turn.
func (s *Store) reserve(texts []Text, perSecond float64, missed bool) (err error) {
	if missed {
		for i := range texts {
			if texts[i].Turn, err = s.ReserveTurn(texts[i].Segments, perSecond); err != nil {
				return err
			}
		}
		return nil
	}
	var turns reservedTurns
	err = s.do(func(x *tx) (err error) {
		turns, err = x.reserveTurns(texts, perSecond)
		return err
	})
	turns.give(texts, perSecond)
	return err
}

// All turns of one second together have no more segments than the rate. One text, the one at the
// end, may reach into the next second: a text leaves whole. A hundredth more is for an answer of
// the server that a busy machine reads late.
func TestTurnsOfSeveralDaemonsNeverExceedTheRateInAnySecond(t *testing.T) {
	for name, pause := range map[string]time.Duration{
		"while more is due than may leave": 0,
		"while the rate is hardly reached": 1200 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			const perSecond, most = 1000, 1000 + longestText + 1000/100
			all := reserveTogether(t, perSecond, 6, pause)
			worst := 0
			for from, to, sum := 0, 0, 0; from < len(all); from++ {
				for ; to < len(all) && all[to].Turn.Before(all[from].Turn.Add(time.Second)); to++ {
					sum += all[to].Segments
				}
				worst = max(worst, sum)
				sum -= all[from].Segments
			}
			t.Logf("%d texts within %s, at most %d segments in a second", len(all), all[len(all)-1].Turn.Sub(all[0].Turn), worst)
			if worst > most {
				t.Errorf("%d segments in a second, at a rate of %d", worst, perSecond)
			}
		})
	}
}
