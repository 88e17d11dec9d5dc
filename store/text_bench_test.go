package store

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"duewatch/reminder"
)

// BenchmarkText is what the store alone costs for each text that the remind job
// sends, in microseconds of CPU, with nobody sending: the decision and its
// intent, the check before the request, and the outcome. It moves far less than
// any rate does.
func BenchmarkText(b *testing.B) {
	for _, checked := range []bool{true, false} {
		b.Run(fmt.Sprintf("checked=%t", checked), func(b *testing.B) {
			const bills, round = 20_000, 512
			all := billsOf(bills)
			for i := range all {
				all[i].Phone = reminder.Phone(fmt.Sprintf("+2547%08d", i))
			}
			var spent time.Duration
			texts := 0
			for b.Loop() {
				b.StopTimer()
				s, p := openNew(b), newPolicy()
				must(s.Import(b.Context(), SourceImport, all, firstStage.Add(-24*time.Hour), nil))
				results := make([]CheckResult, 0, bills)
				for _, bill := range toRegister(b, s, firstStage.Add(-24*time.Hour), bills) {
					results = append(results, CheckResult{BillID: bill.ID, Answer: answer(firstStage.Add(-2*answerSlack), "2315.50", due)})
				}
				must(s.RecordChecks(policiesOf(p), firstStage, results...))
				before := cpu()
				b.StartTimer()
				for {
					l := must(s.DecideDue(b.Context(), roundAt(p, firstStage), round))
					if len(l.Texts) == 0 {
						break
					}
					outcomes := make([]SendOutcome, len(l.Texts))
					at := make([]*Text, len(l.Texts))
					for i := range l.Texts {
						at[i] = &l.Texts[i]
						outcomes[i] = SendOutcome{TextID: at[i].ID, State: Accepted, ProviderID: fmt.Sprintf("SM%032x", at[i].ID), ProviderStatus: "queued", NextPollAt: firstStage.Add(time.Minute)}
					}
					if checked {
						if c := must(s.CheckIntents(b.Context(), firstStage, at)); c.Stop != nil || len(c.Changed) > 0 {
							b.Fatalf("%+v", c)
						}
					}
					for _, err := range s.RecordOutcomes(firstStage, outcomes) {
						mustDo(b, err)
					}
					texts += len(l.Texts)
				}
				spent += cpu() - before
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(texts), "cpu-µs/text")
		})
	}
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
