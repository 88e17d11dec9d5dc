package reminder

import (
	"testing"
)

// What a bill or a text costs before any I/O: `make bench-pure`. The figures are
// in docs/performance.md.

func BenchmarkSteps(b *testing.B) {
	p, due := shippedPolicy(b), day("2026-03-20")
	b.ReportAllocs()
	for b.Loop() {
		p.Steps(due)
	}
}

func BenchmarkDecide(b *testing.B) {
	texted, paid := ordinary(b), ordinary(b)
	owes("0")(paid)
	now := on(b, texted.policy, "2026-03-17 09:00")
	for _, bench := range []struct {
		name string
		*scene
	}{{"text", texted}, {"skip", paid}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := Decide(bench.Case, bench.policy, bench.to, now); len(d.Records) != 1 {
					b.Fatal(d)
				}
			}
		})
	}
}

// BenchmarkJoin has two bills join the text of a third.
func BenchmarkJoin(b *testing.B) {
	lead := ordinary(b)
	lead.policy.Bundle, lead.policy.BundleDays = true, 1
	now := on(b, lead.policy, "2026-03-17 09:00")
	second, third := other(b, lead.policy, "2026-03-20", "2026-03-17 09:00"), other(b, lead.policy, "2026-03-21", "2026-03-17 09:00")
	third.Bill.ID, third.Bill.Account = 3, "78-306"
	for _, c := range []*Case{&second, &third} {
		did(-7, Texted, OnSchedule, "2026-03-13 09:00")(c)
	}
	share := BundleItem{&lead.Case, Decide(lead.Case, lead.policy, lead.to, now)}
	b.ReportAllocs()
	for b.Loop() {
		if j := Join(share, []Case{second, third}, Policies{Default: lead.policy}, lead.to, now); len(j.Items) != 3 {
			b.Fatal(j)
		}
	}
}

func BenchmarkWord(b *testing.B) {
	p := wordPolicy(b, nil)
	for _, language := range p.Templates.Languages() {
		b.Run(language, func(b *testing.B) {
			bill := wordBill()
			bill.Language = language
			today := bill.DueDate.AddDays(-3)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Word(bill, today, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const (
	plainText = "Hello Jane Wanjiru, your Kenya Power bill for account 12345678 is due in 3 days, 3 March 2026. Amount due: KES 2,315.50."
	curlyText = "Hello Jane Wanjirũ “Wa” Ng’ang’a, your Kenya Power bill for account 12345678 is due in 3 days, 3 March 2026. Amount due: KES 2,315.50."
)

func BenchmarkNormalize(b *testing.B) {
	for name, body := range map[string]string{"plain": plainText, "curly": curlyText} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				normalize(body)
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	for name, body := range map[string]string{"GSM-7": plainText, "UCS-2": curlyText} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Count(body)
			}
		})
	}
}

// BenchmarkParsePhone has the library read a number, and then the reader that
// spares it.
func BenchmarkParsePhone(b *testing.B) {
	for _, bench := range []struct {
		name  string
		parse func(string) (Phone, error)
	}{
		{"library", func(s string) (Phone, error) { return ParsePhone(s, "KE") }},
		{"reader", NewPhoneReader("KE").Parse},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.parse("0710 000 003"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
