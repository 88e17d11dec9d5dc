package scheduler

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"duewatch/notifier"
	"duewatch/store"
)

// Callbacks are receipts that the provider sends by itself to an address of the
// operator's. They make everything faster and nothing depend on them: a text without one
// is polled, as if there were none.
type Callbacks struct {
	StatusURL string // where they go, without a query
	Key       string // signs the ids of texts: store.CallbackKey
}

// The fields of the address that a text gives to the provider.
const (
	callbackText      = "text"
	callbackSignature = "sig"
)

// urlFor is where the provider says what becomes of a text; "" when nobody listens.
func (c *Callbacks) urlFor(textID int64, created time.Time) string {
	if c == nil {
		return ""
	}
	// In plain letters and digits, which no proxy rewrites: the provider signs the
	// address as it is written here.
	return fmt.Sprintf("%s?%s=%d&%s=%s", c.StatusURL, callbackText, textID, callbackSignature, c.sign(textID, created))
}

// sign signs a text of this store. The instant of its intent is signed too: in a store
// that was restored from a backup, another text may get the id of one that was sent since.
func (c *Callbacks) sign(textID int64, created time.Time) string {
	mac := hmac.New(sha256.New, []byte(c.Key))
	fmt.Fprintf(mac, "status\x00%d\x00%d", textID, created.UnixMilli())
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// signed reports whether the address of a callback names the text.
func (c *Callbacks) signed(query url.Values, t store.OpenText) bool {
	return hmac.Equal([]byte(query.Get(callbackSignature)), []byte(c.sign(t.ID, t.CreatedAt)))
}

// textOf is the id of a text that an address names; 0 = it names none.
func textOf(query url.Values) int64 {
	id, err := strconv.ParseInt(query.Get(callbackText), 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// ErrNotNow means that a callback was not recorded. The text is polled.
var ErrNotNow = errors.New("the callback cannot be recorded now")

// RecordCallback records what the provider says by itself of a text. When it returns
// without an error, that is on disk. Callbacks that come meanwhile share the next commit.
func (s *Scheduler) RecordCallback(ctx context.Context, c notifier.StatusCallback) (store.CallbackOutcome, error) {
	if s.Callbacks == nil || textOf(c.Query) == 0 {
		return store.CallbackUnknown, nil
	}
	if err := s.awaitClock(ctx); err != nil {
		return "", err
	}
	r := s.callbackQueue.record(c, s.recordCallbacks)
	return r.outcome, r.err
}

// clockWait is for how long a callback waits for the clock to be vouched for, as it is
// right after a start: less than the provider's patience, which is 15 seconds.
const clockWait = 8 * time.Second

// awaitClock waits until the clock may be believed: by it a failure is tried again.
func (s *Scheduler) awaitClock(ctx context.Context) error {
	if s.ClockCheck.stateNow().sure {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clockWait)
	defer cancel()
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	for !s.ClockCheck.stateNow().sure {
		select {
		case <-every.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: nobody vouches for the clock", ErrNotNow)
		}
	}
	return nil
}

// maxCallbacks bounds how many callbacks share a commit.
const maxCallbacks = 256

// callbackQueue gathers the callbacks that come while others are written. Its zero value
// is ready.
type callbackQueue struct {
	mu      sync.Mutex
	waiting []*waitingCallback
	writing bool
}

type waitingCallback struct {
	notifier.StatusCallback
	done chan callbackResult
}

type callbackResult struct {
	outcome store.CallbackOutcome
	err     error
}

// record waits until a batch with the callback was written by write.
func (q *callbackQueue) record(c notifier.StatusCallback, write func([]notifier.StatusCallback) []callbackResult) callbackResult {
	w := &waitingCallback{c, make(chan callbackResult, 1)}
	q.mu.Lock()
	q.waiting = append(q.waiting, w)
	begin := !q.writing
	q.writing = true
	q.mu.Unlock()
	if begin {
		go q.writeAll(write)
	}
	return <-w.done
}

// writeAll writes batches until nobody waits.
func (q *callbackQueue) writeAll(write func([]notifier.StatusCallback) []callbackResult) {
	for {
		q.mu.Lock()
		n := min(len(q.waiting), maxCallbacks)
		batch := q.waiting[:n:n]
		if q.waiting = q.waiting[n:]; n == 0 {
			q.waiting, q.writing = nil, false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		callbacks := make([]notifier.StatusCallback, n)
		for i, w := range batch {
			callbacks[i] = w.StatusCallback
		}
		for i, r := range write(callbacks) {
			batch[i].done <- r
		}
	}
}

// recordCallbacks records a batch, in the order in which they came, as polled receipts
// are recorded. Where the store fails, all but those that are known to be on disk are
// answered with the failure.
func (s *Scheduler) recordCallbacks(batch []notifier.StatusCallback) []callbackResult {
	results, err := s.tryCallbacks(batch)
	if err != nil {
		s.Log.Warn("callbacks could not be recorded; their texts are polled", "err", err)
	}
	for i, r := range results {
		if err != nil && r.outcome == "" {
			results[i].err = fmt.Errorf("%w: %w", ErrNotNow, err)
		}
	}
	return results
}

func (s *Scheduler) tryCallbacks(batch []notifier.StatusCallback) (results []callbackResult, err error) {
	results = make([]callbackResult, len(batch))
	defer func() {
		if p := recover(); p != nil { // it would end the daemon, and its callers wait
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	clock := s.ClockCheck.stateNow()
	now := s.Now()
	ids := make([]int64, len(batch))
	for i, c := range batch {
		ids[i] = textOf(c.Query)
	}
	// Not the context of a caller: the batch must not end with one of them.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	texts, err := s.Store.TextsByID(ctx, ids)
	if err != nil {
		return results, err
	}
	var receipts []store.Receipt
	var places []int // of the receipts in the batch
	for i, c := range batch {
		t, ok := texts[ids[i]]
		switch {
		case !ok || !s.Callbacks.signed(c.Query, t):
			results[i].outcome = store.CallbackUnknown
		case t.ProviderID != "" && t.ProviderID != c.SID:
			// Somebody between us and the provider has sent the request twice.
			s.billLog(t.Service, t.Account).Warn("the provider speaks of another message than the one of the text",
				"text", t.ID, "sid", t.ProviderID, "other", c.SID)
			results[i].outcome = store.CallbackUnknown
		default:
			receipts, places = append(receipts, s.callbackReceipt(t, c, now)), append(places, i)
		}
	}
	moved, err := s.takeReceipts(clock, now, receipts)
	type move struct {
		text  int64
		state store.TextState
	}
	news := make(map[move]bool, len(moved))
	for _, r := range moved {
		news[move{r.TextID, r.State}] = true
	}
	for i, r := range receipts {
		m := move{r.TextID, r.State}
		switch {
		case news[m]:
			results[places[i]].outcome, news[m] = store.CallbackRecorded, false
		case err == nil:
			results[places[i]].outcome = store.CallbackOld
		}
	}
	return results, err
}

// callbackReceipt is receiptOf for a callback.
func (s *Scheduler) callbackReceipt(t store.OpenText, c notifier.StatusCallback, now time.Time) store.Receipt {
	if t.AcceptedAt.IsZero() { // the provider has it, and we did not know
		t.AcceptedAt = now
	}
	r := s.receiptOf(t, c.Receipt, nil, now)
	r.ProviderID = c.SID
	switch {
	case r.State.Final(): // only the price is still to come, which no callback says
		r.NextPollAt = now.Add(receiptEvery)
	case !r.NextPollAt.IsZero():
		r.NextPollAt = now.Add(besideCallbacks)
	}
	return r
}
