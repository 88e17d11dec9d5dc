package scheduler

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"duewatch/reminder"
	"duewatch/store"
)

// lateWorld is what the evidence hears of texts of an own country's sender.
type lateWorld struct {
	*senderEvidence
	begin time.Time
}

// hear takes in a receipt of a text that was created so long after the beginning and accepted at
// once, what the provider says of it at another instant.
func (l lateWorld) hear(p reminder.Phone, created, heard time.Duration, state store.TextState, code int) []reminder.Phone {
	at := l.begin.Add(created)
	return l.receipt(store.Receipt{SentTo: p, CreatedAt: at, AcceptedAt: at, State: state, Code: code}, l.begin.Add(heard))
}

func newLateWorld() lateWorld {
	return lateWorld{newSenderEvidence("KE"), time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)}
}

// On a route without delivery receipts a text stays "sent" for ever.
func TestThreeOddPhonesInMonthsOfSentTextsDoNotStopAll(t *testing.T) {
	t.Parallel()
	l := newLateWorld()
	for month := range 6 {
		at := time.Duration(month) * 30 * 24 * time.Hour
		if against := l.hear(phone(month), at, at+5*time.Minute, store.Failed, 30032); against != nil {
			t.Fatalf("all is stopped in month %d by %d phones", month, len(against))
		}
		next := at + time.Hour
		l.hear(phone(50), next, next+time.Minute, store.Sent, 0)
		l.hear(phone(50), next, next+sentProves, store.Sent, 0)
	}
}

func TestTextsAcceptedBeforeTheyFailDoNotSpeakForTheSender(t *testing.T) {
	t.Parallel()
	const later, heard = 5 * time.Minute, 6 * time.Minute
	for name, c := range map[string]struct {
		between func(l lateWorld)
		stop    bool
	}{
		"nothing": {func(lateWorld) {}, true},
		"a later text that is accepted": {func(l lateWorld) {
			l.accepted(phone(50))
			l.hear(phone(50), later, heard, store.Accepted, 0)
		}, true},
		"a later text that was just sent":   {func(l lateWorld) { l.hear(phone(50), later, heard, store.Sent, 0) }, true},
		"an earlier text that is delivered": {func(l lateWorld) { l.hear(phone(50), -time.Hour, heard, store.Delivered, 0) }, true},
		"an earlier text that stays sent":   {func(l lateWorld) { l.hear(phone(50), -time.Hour, heard, store.Sent, 0) }, true},
		"a later text abroad that is delivered": {func(l lateWorld) {
			l.hear("+256712000001", later, heard, store.Delivered, 0)
		}, true},
		"a text of the same round that is delivered": {func(l lateWorld) {
			l.hear(phone(50), time.Second, heard, store.Delivered, 0)
		}, false},
		"a later text that is delivered": {func(l lateWorld) { l.hear(phone(50), later, heard, store.Delivered, 0) }, false},
		"a later text that stays sent":   {func(l lateWorld) { l.hear(phone(50), time.Minute, time.Minute+sentProves, store.Sent, 0) }, false},
	} {
		l := newLateWorld()
		l.hear(phone(0), 0, 5*time.Minute, store.Failed, 30034)
		l.hear(phone(1), time.Second, 5*time.Minute, store.Undelivered, 30034)
		c.between(l)
		against := l.hear(phone(2), 10*time.Minute, 17*time.Minute, store.Failed, 30034)
		if slices.Equal(against, []reminder.Phone{phone(0), phone(1), phone(2)}) != c.stop || !c.stop && against != nil {
			t.Errorf("%s: %d phones speak against the sender, want a stop: %v", name, len(against), c.stop)
		}
	}
}

// The list is read in any order: what fared well may be heard of before what failed.
func TestAFailureThatIsHeardOfAfterALaterDeliverySaysNothing(t *testing.T) {
	t.Parallel()
	l := newLateWorld()
	l.hear(phone(50), time.Minute, 2*time.Minute, store.Delivered, 0)
	for i := range 5 {
		if against := l.hear(phone(i), 0, 5*time.Minute, store.Failed, 30034); against != nil {
			t.Errorf("all is stopped by text %d", i)
		}
	}
}

// reportsByPhone answers a receipt of the phones that are odd with one report, and of
// all others with another.
func reportsByPhone(w *world, odd func(reminder.Phone) bool, ofOdd, ofOthers http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		for _, x := range w.sandbox.Texts() {
			if strings.Contains(r.URL.Path, x.SID) && odd(x.To) {
				ofOdd(rw, r)
				return
			}
		}
		ofOthers(rw, r)
	}
}

// Through the jobs: a route without delivery receipts, and one phone a day that fails
// for its sender's reasons.
func TestALateFailureADayOnARouteWithoutDeliveryReceiptsStopsNothing(t *testing.T) {
	t.Parallel()
	odd := func(p reminder.Phone) bool { return p <= phone(9) }
	w := newWorld(t, func(w *world) {
		w.policy.Stages = []reminder.Stage{0}
		twilio{fetch: reportsByPhone(w, odd, reports("undelivered", 30032), reports("sent", 0))}.inFront(w)
	})
	for day, date := range []string{"2026-03-09", "2026-03-10", "2026-03-11", "2026-03-12"} {
		w.watch(fmt.Sprint("A", day), date, phone(day))
		w.watch(fmt.Sprint("B", day), date, phone(50+day))
		w.sandboxTextsAreTries(fmt.Sprint("A", day))
	}
	for _, date := range []string{"2026-03-09", "2026-03-10", "2026-03-11", "2026-03-12"} {
		w.at(date + " 09:00")
		w.ticks(30*time.Minute, time.Minute)
		w.wantStops()
	}
	w.wantStates("B3", "sent")
}
