package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"duewatch/reminder"
)

// sendForever does what the daemon does to the store, and says on stdout what
// is done, each time after the store said that it is.
func sendForever(ctx context.Context, path string) error {
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	p := newPolicy()
	p.PerNumberDaily = 1 << 30
	owner := fmt.Sprint("process ", os.Getpid())
	round := roundAt(p, firstStage)
	round.Claim.Owner = owner
	say := func(what string, id int64) { fmt.Printf("%s %d\n", what, id) }

	must(s.TakeOver(firstStage, owner, firstStage))
	var senders sync.WaitGroup
	for n := 0; ; n++ {
		bills := billsOf(7)
		for i := range bills {
			bills[i].Account = fmt.Sprintf("%d-%d-%d", os.Getpid(), n, i)
		}
		must(s.Declare(bills[0].Account, bills, firstStage))
		taken, _, err := s.ToRegister(ctx, firstStage, Place{}, 10)
		if err != nil {
			return err
		}
		results := make([]CheckResult, len(taken))
		for i, b := range taken {
			results[i] = CheckResult{BillID: b.ID, Answer: answer(firstStage, "2315.50", due)}
		}
		must(s.RecordChecks(policiesOf(p), firstStage, results...))
		for _, b := range taken {
			say("active", b.ID)
		}
		senders.Wait()
		for _, x := range must(s.DecideDue(ctx, round, 10)).Texts {
			say("intended", x.ID)
			senders.Go(func() {
				o := SendOutcome{TextID: x.ID, State: Accepted, ProviderID: fmt.Sprint("SM", x.ID)}
				what := "accepted"
				if x.ID%5 == 0 {
					what, o = "refused", SendOutcome{TextID: x.ID, State: Refused, Hold: reminder.Throttled, Until: firstStage.Add(time.Hour)}
				}
				if err := s.RecordOutcome(firstStage, o); err != nil {
					panic(err)
				}
				say(what, x.ID)
			})
		}
	}
}

// What was reported as written before a kill -9 is there after it, and nothing
// stands half-written.
func TestKilledAtAnyMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "duewatch.db")
	kills := 20
	if testing.Short() {
		kills = 3
	}
	reported := 0
	for i := range kills {
		c := startChild(t, "send", path)
		var said strings.Builder
		for range 1 + rand.IntN(150) {
			line, err := c.out.ReadString('\n')
			if err != nil {
				t.Fatalf("the child died by itself: %s", c.errors())
			}
			said.WriteString(line)
		}
		said.WriteString(c.kill())

		s := must(Open(t.Context(), path)) // the lock went with the process
		reported += compare(t, s, said.String())
		sound(t, s)
		mustDo(t, s.Close())
		if t.Failed() {
			t.Fatalf("after kill %d", i+1)
		}
	}
	if reported < kills {
		t.Errorf("the children reported only %d facts", reported)
	}
}

// compare finds each fact that the child reported, and counts them.
func compare(t *testing.T, s *Store, said string) (facts int) {
	t.Helper()
	for line := range strings.Lines(said) {
		if !strings.HasSuffix(line, "\n") {
			break // cut off by the kill
		}
		var what string
		var id int64
		if _, err := fmt.Sscan(line, &what, &id); err != nil {
			t.Fatalf("the child said %q", line)
		}
		facts++
		query := map[string]string{
			"active":   "SELECT count(*) FROM bills WHERE id = ?1 AND state = 'active'",
			"intended": "SELECT count(*) FROM texts WHERE id = ?1",
			"accepted": "SELECT count(*) FROM texts WHERE id = ?1 AND state = 'accepted' AND provider_id = 'SM' || ?1",
			"refused":  "SELECT count(*) FROM texts WHERE id = ?1 AND state = 'refused'",
		}[what]
		if number(t, s, query, id) != 1 {
			t.Errorf("%s %d was reported, and is lost", what, id)
		}
	}
	return facts
}

// sound finds anything of which only a part was written.
func sound(t *testing.T, s *Store) {
	t.Helper()
	if got := word(t, s, "SELECT integrity_check FROM pragma_integrity_check"); got != "ok" {
		t.Errorf("the file is damaged: %s", got)
	}
	for name, query := range map[string]string{
		"rows that point nowhere":                       "SELECT count(*) FROM pragma_foreign_key_check",
		"texted reminders without text or event":        "SELECT count(*) FROM reminders r WHERE outcome = 'texted' AND NOT EXISTS (SELECT 1 FROM texts x JOIN events e ON e.text_id = x.id AND e.bill_id = r.bill_id AND e.what = 'texted' WHERE x.id = r.text_id)",
		"texts without a reminder":                      "SELECT count(*) FROM texts x WHERE state <> 'refused' AND NOT EXISTS (SELECT 1 FROM reminders r WHERE r.text_id = x.id)",
		"texts of another phone's number":               "SELECT count(*) FROM texts x WHERE NOT EXISTS (SELECT 1 FROM phones p WHERE p.phone_id = x.phone_id AND p.number = x.phone)",
		"texts with two reminders":                      "SELECT count(*) FROM (SELECT 1 FROM reminders WHERE text_id IS NOT NULL GROUP BY text_id HAVING count(*) > 1)",
		"settled texts without their event":             "SELECT count(*) FROM texts x WHERE state <> 'sending' AND NOT EXISTS (SELECT 1 FROM events e WHERE e.text_id = x.id AND e.what = x.state)",
		"events of texts that are not there":            "SELECT count(*) FROM events e WHERE text_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM texts x WHERE x.id = e.text_id)",
		"refused texts whose reminder is not held":      "SELECT count(*) FROM texts x WHERE state = 'refused' AND NOT EXISTS (SELECT 1 FROM events e JOIN reminders r ON r.bill_id = e.bill_id WHERE e.text_id = x.id AND r.outcome = 'held')",
		"held reminders that are never evaluated again": "SELECT count(*) FROM reminders r WHERE outcome = 'held' AND NOT EXISTS (SELECT 1 FROM due_remind d WHERE d.bill_id = r.bill_id)",
		"active bills without their event":              "SELECT count(*) FROM bills b WHERE state = 'active' AND NOT EXISTS (SELECT 1 FROM events e WHERE e.bill_id = b.id AND e.what = 'registered')",
		"active bills that nobody asks about":           "SELECT count(*) FROM bills b WHERE state = 'active' AND NOT EXISTS (SELECT 1 FROM due_recheck d WHERE d.bill_id = b.id)",
		"pending bills that nobody registers":           "SELECT count(*) FROM bills b WHERE (state = 'pending') <> EXISTS (SELECT 1 FROM due_register d WHERE d.bill_id = b.id)",
		"bills without a beginning":                     "SELECT count(*) FROM bills b WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.bill_id = b.id AND e.what = 'added')",
	} {
		if n := number(t, s, query); n != 0 {
			t.Errorf("%d %s", n, name)
		}
	}
}
