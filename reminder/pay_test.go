package reminder

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func payPolicy(t *testing.T, pay string, change map[string]TemplateSource) *Policy {
	t.Helper()
	p := wordPolicy(t, change)
	p.Pay = pay
	return p
}

func TestShippedTextsEndWithHowToPay(t *testing.T) {
	p := payPolicy(t, "Paybill 888880", nil)
	for name, tt := range map[string]struct {
		language   string
		withAmount bool
		away       int
		want       string
	}{
		"English, before": {"en", true, -3,
			"Hello Jane Wanjiru, your Kenya Power bill is due in 3 days, on 3 March 2026. " +
				"Amount due: KES 2,315.50. Pay: Paybill 888880, account 12345678."},
		"English, before, no amount": {"en", false, -1,
			"Hello Jane Wanjiru, your Kenya Power bill is due tomorrow, on 3 March 2026. " +
				"Please ignore if paid. Pay: Paybill 888880, account 12345678."},
		"English, after, no amount": {"en", false, 2,
			"Hello Jane Wanjiru, your Kenya Power bill was due 2 days ago, on 3 March 2026. " +
				"If not paid yet: Paybill 888880, account 12345678."},
		"English, after": {"en", true, 2,
			"Hello Jane Wanjiru, your Kenya Power bill was due 2 days ago, on 3 March 2026. " +
				"Unpaid: KES 2,315.50. If not paid yet: Paybill 888880, account 12345678."},
		"Swahili, before": {"sw", true, -3,
			"Habari Jane Wanjiru, mwisho wa kulipa bili ya Kenya Power ni baada ya siku 3, tarehe 3 Machi 2026. " +
				"Kiasi: KES 2,315.50. Lipa: Paybill 888880, akaunti 12345678."},
		"Swahili, after": {"sw", true, 2,
			"Habari Jane Wanjiru, bili ya Kenya Power ilipaswa kulipwa siku 2 zilizopita, 3 Machi 2026. " +
				"Deni: KES 2,315.50. Lipa: Paybill 888880, akaunti 12345678."},
		"Swahili, after, no amount": {"sw", false, 2,
			"Habari Jane Wanjiru, bili ya Kenya Power ilipaswa kulipwa siku 2 zilizopita, 3 Machi 2026. " +
				"Kama umelipa, asante. Lipa: Paybill 888880, akaunti 12345678."},
	} {
		t.Run(name, func(t *testing.T) {
			b := wordBill()
			b.Language = tt.language
			got, err := p.Word(b, b.DueDate.AddDays(tt.away), tt.withAmount)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Draft{tt.want, tt.language, Count(tt.want)}, got); diff != "" {
				t.Errorf("Word (-want +got):\n%s", diff)
			}
			if got.Count.Segments != 1 {
				t.Errorf("costs %d segments", got.Count.Segments)
			}
			if !p.MatchesReminder(b, got.Body, b.DueDate.AddDays(tt.away)) {
				t.Error("the text is not known again as a reminder of its bill")
			}
		})
	}
}

// How to pay is in a text up to its last free character, in both languages, before
// and after, and with every number of segments; and never at the price of one more.
func TestHowToPayCostsNoSegment(t *testing.T) {
	p := payPolicy(t, "Paybill 888880", nil)
	p.MaxSegments = 0
	bare := *p
	bare.Pay = ""
	for _, language := range []string{"en", "sw"} {
		for _, away := range []int{-3, 2} {
			for _, border := range []int{160, 2 * 153, 3 * 153} {
				t.Run(fmt.Sprintf("%s, %d days, %d characters", language, away, border), func(t *testing.T) {
					b := wordBill()
					b.Language, b.Customer = language, ""
					today := b.DueDate.AddDays(away)
					full, err := p.draftWith(b, today, true, p.Pay)
					if err != nil {
						t.Fatal(err)
					}
					b.Account += strings.Repeat("9", border-full.Count.Units)
					got, err := p.Word(b, today, true)
					if err != nil || got.Count.Units != border || !strings.Contains(got.Body, "Paybill 888880, a") {
						t.Errorf("%d characters: %d, %v: %s", border, got.Count.Units, err, got.Body)
					}
					b.Account += "9"
					got, err = p.Word(b, today, true)
					want, _ := bare.Word(b, today, true)
					if diff := cmp.Diff(want, got); diff != "" || err != nil {
						t.Errorf("%d characters with it, which are a segment more (-want +got): %v\n%s", border+1, err, diff)
					}
				})
			}
		}
	}
}

func TestHowToPayIsLeftOutBeforeTheName(t *testing.T) {
	p := payPolicy(t, "Paybill 888880", nil)
	p.MaxSegments = 1
	b := wordBill()
	b.Customer = "Jane Wanjiru Kamau Muthoni wa Njoroge"
	got, err := p.Word(b, b.DueDate.AddDays(-3), true)
	if err != nil || !strings.Contains(got.Body, b.Customer) || strings.Contains(got.Body, "Paybill") {
		t.Errorf("%v: %s", err, got.Body)
	}
}

func TestOwnTextsHaveHowToPayAsWritten(t *testing.T) {
	const own = "{{.Service}} {{.Account}} {{.When}} {{.DueDate}}{{with .Pay}}, pay {{.}}{{end}}"
	p := payPolicy(t, "Buy Goods 0012 (Till)", map[string]TemplateSource{"en": {Before: own, After: own + "!"}})
	b := wordBill()
	want := "Kenya Power 12345678 today 3 March 2026, pay Buy Goods 0012 (Till)"
	if got, err := p.Word(b, b.DueDate, true); err != nil || got.Body != want {
		t.Errorf("%v: %s", err, got.Body)
	}
	b.Account = strings.Repeat("9", 110) // .Pay is there at any price
	if got, err := p.Word(b, b.DueDate, true); err != nil || !strings.HasSuffix(got.Body, "(Till)") || got.Count.Segments != 2 {
		t.Errorf("%v: %+v", err, got)
	}
	for _, s := range p.LongestSamples() {
		if s.Language == "en" && !strings.Contains(s.Draft.Body, "Buy Goods 0012 (Till)") {
			t.Errorf("the longest text has it not: %s", s.Draft.Body)
		}
	}
}

func TestTheLongestShippedTextsCostNoMoreWithHowToPay(t *testing.T) {
	bare, p := payPolicy(t, "", nil), payPolicy(t, strings.Repeat("Buy Goods ", 4), nil)
	bare.Bundle, p.Bundle = true, true
	with := p.LongestSamples()
	for i, without := range bare.LongestSamples() {
		if with[i].Draft.Count.Segments != without.Draft.Count.Segments || with[i].Draft.Count.Units <= without.Draft.Count.Units {
			t.Errorf("%s %s: %+v with it, %+v without:\n%s", without.Language, without.Kind, with[i].Draft.Count, without.Draft.Count, with[i].Draft.Body)
		}
	}
}

func TestBundlesEndWithHowToPayWhenAllArePaidTheSame(t *testing.T) {
	for name, tt := range map[string]struct {
		water    string // how the second bill's service is paid
		language string
		want     string // at the end
	}{
		"the same":       {"Paybill 888880", "en", "Total: KES 4,631.00. Pay each account: Paybill 888880."},
		"in Swahili":     {"Paybill 888880", "sw", "Jumla: KES 4,631.00. Lipa kila akaunti: Paybill 888880."},
		"another":        {"Paybill 444400", "en", "Total: KES 4,631.00."},
		"one has not":    {"", "en", "Total: KES 4,631.00."},
		"one is too new": {"", "sw", "Jumla: KES 4,631.00."},
	} {
		t.Run(name, func(t *testing.T) {
			p := payPolicy(t, "Paybill 888880", nil)
			water := *p
			water.ServiceName, water.Pay = "Nairobi Water", tt.water
			b := wordBill()
			b.Language = tt.language
			items := sampleItems(b, 2, true)
			items[1].Bill.Service = "18"
			policies := Policies{Default: p, ByService: map[string]*Policy{"18": &water}}
			got, err := p.wordBundle(items, policies, b.DueDate.AddDays(-3))
			if err != nil || !strings.HasSuffix(got.Body, tt.want) {
				t.Errorf("%v: %s", err, got.Body)
			}
			if got.Count.Segments != 2 {
				t.Errorf("costs %d segments", got.Count.Segments)
			}
		})
	}
}

func TestBundlesHaveHowToPayUpToTheLastCharacter(t *testing.T) {
	p := payPolicy(t, "Paybill 888880", nil)
	b := wordBill()
	b.Customer = ""
	with := func(digits int) Draft {
		t.Helper()
		one := b
		one.Account = strings.Repeat("9", digits)
		got, err := p.wordBundle(sampleItems(one, 2, true), Policies{Default: p}, b.DueDate.AddDays(-3))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	var units []int
	for digits := 8; digits < 70; digits++ {
		if got := with(digits); strings.Contains(got.Body, "Pay each account") {
			units = append(units, got.Count.Units)
		} else if got.Count.Units+len(" Pay each account: Paybill 888880.") <= 2*153 && got.Count.Segments == 2 {
			t.Errorf("there was room in %d: %s", got.Count.Units, got.Body)
		}
	}
	if last := units[len(units)-1]; last != 305 && last != 306 { // two accounts grow at once
		t.Errorf("the longest text with it has %d characters", last)
	}
}

// What a text says may hang on whether there is room, so both are tried.
func TestAmbiguousTriesTextsWithAndWithoutRoom(t *testing.T) {
	const good = "{{.Service}} {{.Account}} {{.When}} {{.DueDate}}"
	for name, tt := range map[string]struct {
		pay    string
		source TemplateSource
		want   string
	}{
		"account where there is room only": {"Paybill 888880",
			TemplateSource{Before: "{{.When}} {{.DueDate}}{{with .PayIfRoom}} {{.}} {{$.Account}}{{end}}", After: good + "!"},
			"template en.before: can give two texts of one phone the same words, so that one that was lost would pass for sent: " +
				"for two accounts when .PayIfRoom is empty (name .Account in full)"},
		"account where there is none only": {"Paybill 888880",
			TemplateSource{Before: "{{.When}} {{.DueDate}}{{if .PayIfRoom}} {{.PayIfRoom}}{{else}} {{.Account}}{{end}}", After: good + "!"},
			"for two accounts (name .Account in full)"},
		"account where it says how to pay only": {"",
			TemplateSource{Before: "{{.When}} {{.DueDate}}{{with .Pay}} {{$.Account}}{{end}}", After: good + "!"},
			"for two accounts (name .Account in full)"},
		"accounts of a bundle where there is room only": {"Paybill 888880",
			TemplateSource{Before: good, After: good + "!", Bundle: "{{range .Bills}}{{if $.PayIfRoom}}{{.Account}}{{end}} {{.When}} {{.DueDate}} {{end}}"},
			"template en.bundle: can give two texts of one phone the same words, so that one that was lost would pass for sent: " +
				"for two accounts when .PayIfRoom is empty (name .Account of each of .Bills in full)"},
		"both name it": {"Paybill 888880",
			TemplateSource{Before: good + "{{with .PayIfRoom}} {{.}}{{end}}", After: good + "! {{.Pay}}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := payPolicy(t, tt.pay, map[string]TemplateSource{"en": tt.source})
			p.Bundle = tt.source.Bundle != ""
			err := p.Ambiguous()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestTheShippedTemplatesAreNotAmbiguousWithHowToPay(t *testing.T) {
	p := payPolicy(t, "Paybill 888880", nil)
	p.Bundle = true
	if err := p.Ambiguous(); err != nil {
		t.Error(err)
	}
}

// A service may be told apart by how it is paid, but not only where there is room.
func TestServicesAreToldApartByHowTheyArePaid(t *testing.T) {
	for source, sound := range map[string]bool{
		"{{.Account}} {{.When}} {{.DueDate}} {{.Pay}}":       true,
		"{{.Account}} {{.When}} {{.DueDate}} {{.PayIfRoom}}": false,
	} {
		all := Policies{ByService: map[string]*Policy{}}
		for _, id := range []string{"1", "2"} {
			q := payPolicy(t, "Paybill "+id, map[string]TemplateSource{"en": {Before: source, After: source + "!"}})
			q.ServiceName = "Service " + id
			all.ByService[id] = q
		}
		if faults := all.Ambiguous(); (len(faults) == 0) != sound {
			t.Errorf("%s: %+v", source, faults)
		}
	}
}

func TestParseTemplatesTriesTextsWithoutHowToPay(t *testing.T) {
	for source, says := range map[string]string{
		"{{.Account}} {{slice .Pay 0 7}}":                            "out of range",
		"{{.Account}}{{with .Pay}} {{slice $.PayIfRoom 0 7}}{{end}}": "out of range",
		"{{.Pay}}": "empty text",
	} {
		_, err := ParseTemplates(map[string]TemplateSource{"en": {Before: source, After: "ok"}})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestPayFaultSaysWhatToWrite(t *testing.T) {
	for pay, want := range map[string]string{
		"":                       "",
		"Paybill 888880":         "",
		"Buy Goods 12-34 (Till)": "",
		"M‑Pesa “888880”":        "", // sent as plain signs
		"Paybill {{.Account}}":   "holds a brace",
		"Paybill 888880 ✓":       "'✓'",
		"Платёж 888880":          "'П'",
		"Paybill 888880, Лipa":   "write plain letters and digits, such as Paybill 888880",
	} {
		if got := PayFault(pay); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", pay, got)
		}
	}
}
