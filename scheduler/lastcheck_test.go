package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// While texts wait for their turn at a slow provider, something is committed that
// speaks against them. What began to be written later than the bound after it
// is a text that should not have left.
func TestNoTextLeavesAfterWhatSpeaksAgainstItWasCommitted(t *testing.T) {
	t.Parallel()
	const bills = 40
	for _, c := range []struct {
		name   string
		commit func(w *world) error
		end    string // of a bill whose text waited; those that were not decided about yet may have none
	}{
		{"everybody pays", func(w *world) error {
			results := make([]store.CheckResult, bills)
			for i := range results {
				nothing, bill := reminder.MustMoney("0"), w.bill(account(i))
				w.pays(account(i))
				results[i] = store.CheckResult{BillID: bill.ID, Answer: &reminder.Answer{At: w.clock.now(), Balance: &nothing, DueDate: bill.DueDate}}
			}
			_, err := w.Store.RecordChecks(w.Policies, w.clock.now(), results...)
			return err
		}, "3 days before: skipped, paid"},
		{"a list of opt-outs is imported", func(w *world) error {
			all := make([]store.OptOut, bills)
			for i := range all {
				all[i] = store.OptOut{Phone: phone(i), Reason: reminder.OptedOut, Since: w.clock.now(), Source: "import", Who: "test"}
			}
			_, err := w.Store.AddOptOuts(all...)
			return err
		}, "3 days before: skipped, opted_out"},
		{"the service is paused", func(w *world) error {
			_, err := w.Store.Pause(w.ctx, store.BulkOp{Selector: store.Selector{Service: water}, At: w.clock.now(), Who: "test"}, store.Pause{})
			return err
		}, "3 days before: held, changed_meanwhile"},
		{"sending is stopped", func(w *world) error {
			return w.Store.StopSending(w.clock.now(), reminder.Stop{Reason: reminder.SenderChanged, Detail: "test"})
		}, "3 days before: held, sender_changed"},
		{"the bills are no longer declared", func(w *world) error {
			_, err := w.Store.Declare(store.SourceConfig, w.declared[:1], w.clock.now())
			return err
		}, "3 days before: held, changed_meanwhile"},
		{"the phones are corrected", func(w *world) error {
			for i := range w.declared {
				w.declared[i].Phone = phone(50 + i)
			}
			_, err := w.Store.Declare(store.SourceConfig, w.declared, w.clock.now())
			return err
		}, "3 days before: texted, on_schedule"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := prepare(t, inBubble, func(w *world) { w.senders = 4 })
				var mu sync.Mutex
				var committed time.Time
				late := 0
				w.toProvider.hooks(func(r *http.Request) error {
					if r.Method != http.MethodPost {
						return nil
					}
					to := reminder.Phone(r.FormValue("To"))
					mu.Lock()
					if !committed.IsZero() && time.Since(committed) > maxCheckToWrite && to < phone(50) {
						late++
					}
					mu.Unlock()
					<-time.After(10 * time.Second)
					return nil
				}, nil)
				end := w.run()
				defer func() { end() }()
				w.roundSizes.segmentsPerSecond = 8
				w.pacer.(*waitingPacer).SetLimit(8)
				for i := range bills {
					w.owes(account(i), "2000-01-04", "500")
					w.declare(account(i), phone(i))
				}
				w.until("2000-01-01 09:00:05")
				before := len(w.sandbox.Texts())
				if err := c.commit(w); err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				committed = time.Now()
				mu.Unlock()
				w.until("2000-01-01 10:00:00")
				if late > 0 {
					t.Errorf("%d texts began to leave more than %s later", late, maxCheckToWrite)
				}
				if posted := w.posted.Load(); posted < 4 || before >= bills {
					t.Errorf("%d texts were posted, %d before it was committed: nothing was put to the test", posted, before)
				}
				ends := 0
				for i := 8; i < bills; i++ { // the first ones were on their way
					switch story := w.story(account(i)); {
					case slices.Equal(story, []string{c.end}):
						ends++
					case len(story) > 0:
						t.Errorf("%s: %q", account(i), story)
					}
				}
				if ends < 8 {
					t.Errorf("only %d bills ended as %q", ends, c.end)
				}
			})
		})
	}
}

func account(i int) string { return fmt.Sprintf("A%02d", i) }

// Connections that take longer than the bound hold texts back, and lose none, also
// where all texts go to one phone.
func TestTextsWaitWhileNoConnectionIsReadyInTime(t *testing.T) {
	t.Parallel()
	for name, delivery := range map[string]reminder.Delivery{
		"live":     {Mode: reminder.ModeLive},
		"redirect": {Mode: reminder.ModeRedirect, RedirectTo: phone(99)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := prepare(t, inBubble, func(w *world) { w.delivery = delivery })
				const bills = 12
				slow := time.Date(2000, 1, 1, 9, 2, 30, 0, zone)
				w.toProvider.hooks(func(r *http.Request) error {
					if r.Method == http.MethodPost && time.Now().Before(slow) {
						<-r.Context().Done() // the connection is still being made
						return r.Context().Err()
					}
					return nil
				}, nil)
				w.until("2000-01-01 08:50:00")
				end := w.run()
				defer func() { end() }()
				for i := range bills {
					w.owes(account(i), "2000-01-04", "500")
					w.declare(account(i), phone(i))
				}
				w.until("2000-01-01 09:01:00")
				stops, err := w.Store.Stops(w.ctx, w.clock.now())
				if err != nil || len(stops) != 1 || stops[0].Reason != reminder.ProviderUnreachable {
					t.Errorf("stops %+v (%v), want %s", stops, err, reminder.ProviderUnreachable)
				}
				w.until("2000-01-01 09:06:00")
				if texts := w.sandbox.Texts(); len(texts) != bills {
					t.Errorf("%d of %d were texted", len(texts), bills)
				}
			})
		})
	}
}

// However slow the connections are, no request begins when its text is of no use any more.
func TestNoRequestBeginsTooLateToBeOfUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble, func(w *world) { w.policy.Window, w.policy.SendAt = reminder.Window{From: 0, To: 24 * 60}, 0 })
		midnight := time.Date(2000, 1, 2, 0, 0, 0, 0, zone)
		var mu sync.Mutex
		var last time.Time // when a request was given up whose connection was still being made
		w.toProvider.hooks(func(r *http.Request) error {
			if r.Method != http.MethodPost {
				return nil
			}
			<-r.Context().Done()
			mu.Lock()
			last = time.Now()
			mu.Unlock()
			return r.Context().Err()
		}, nil)
		w.until("2000-01-01 23:59:58.500")
		w.build()
		w.owes("A1", "2000-01-01", "500")
		w.declare("A1", phone(1))
		w.tick()
		mu.Lock()
		defer mu.Unlock()
		if last.After(midnight) || last.IsZero() {
			t.Errorf("the last request could begin at %s, want by %s", last, midnight)
		}
	})
}

// slowPipes is a listener whose connections are pipes in memory, so that they run
// on the clock of a bubble, and take their time to be made.
type slowPipes struct {
	delay time.Duration
	made  chan net.Conn
	done  chan struct{}
}

func (p *slowPipes) dial(context.Context, string, string) (net.Conn, error) {
	<-time.After(p.delay)
	ours, theirs := net.Pipe()
	p.made <- theirs
	return ours, nil
}

func (p *slowPipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *slowPipes) Close() error   { close(p.done); return nil }
func (p *slowPipes) Addr() net.Addr { return &net.UnixAddr{} }

// Where every new connection takes longer than the bound, texts leave all the
// same, on connections that were made ready before the check.
func TestConnectionsThatAreAlwaysSlowKeepNobodyFromBeingTexted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bills = 12
		w := prepare(t, inBubble, func(w *world) { w.senders = 4 })
		p := &slowPipes{delay: maxCheckToWrite + time.Second, made: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{Handler: w.sandbox.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		go server.Serve(p) //nolint:errcheck // it ends with the listener
		defer server.Close()
		transport := &http.Transport{DialContext: p.dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second}
		w.toProvider.next = transport
		w.until("2000-01-01 08:50:00")
		end := w.run()
		defer func() { end(); transport.CloseIdleConnections() }()
		for i := range bills {
			w.owes(account(i), "2000-01-04", "500")
			w.declare(account(i), phone(i))
		}
		w.until("2000-01-01 09:01:00")
		if texts := w.sandbox.Texts(); len(texts) != bills {
			t.Errorf("%d of %d were texted within a minute", len(texts), bills)
		}
	})
}

// A provider that cannot be reached is said to be, also where one bill is due.
func TestAProviderThatCannotBeReachedIsNamedForASingleBill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble)
		opens := time.Date(2000, 1, 1, 9, 0, 0, 0, zone)
		w.toProvider.hooks(func(r *http.Request) error {
			if !time.Now().Before(opens) {
				<-r.Context().Done()
				return r.Context().Err()
			}
			return nil
		}, nil)
		w.until("2000-01-01 08:50:00")
		end := w.run()
		defer func() { end() }()
		w.owes(account(0), "2000-01-04", "500")
		w.declare(account(0), phone(0))
		w.until("2000-01-01 09:00:50")
		stops, err := w.Store.Stops(w.ctx, w.clock.now())
		if err != nil || len(stops) != 1 || stops[0].Reason != reminder.ProviderUnreachable {
			t.Errorf("stops %+v (%v), want %s", stops, err, reminder.ProviderUnreachable)
		}
	})
}

// A balance that was young when Almara Pay answered has aged by the time that the
// slowest bill of its round was asked about.
func TestABalanceThatAgedWhileOthersWereAskedIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := prepare(t, inBubble, func(w *world) { w.policy.MaxBalanceAge = 0 })
		w.until("2000-01-01 08:50:00")
		end := w.run()
		defer func() { end() }()
		for i := range 2 {
			w.owes(account(i), "2000-01-04", "500")
			w.declare(account(i), phone(i))
		}
		w.until("2000-01-01 08:59:30")
		w.toAlmara.hooks(func(r *http.Request) error {
			if strings.Contains(bodyOf(r), account(1)) {
				<-r.Context().Done()
				return r.Context().Err()
			}
			return nil
		}, nil)
		w.until("2000-01-01 09:00:10")
		w.pays(account(0)) // the other call is still under way
		w.until("2000-01-01 10:00:00")
		w.wantStory(account(0), "3 days before: skipped, paid")
	})
}
