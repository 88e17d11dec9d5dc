package reminder

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func wordPolicy(tb testing.TB, change map[string]TemplateSource) *Policy {
	tb.Helper()
	src := DefaultTemplates()
	for language, texts := range change {
		src[language] = texts
	}
	templates, err := ParseTemplates(src)
	if err != nil {
		tb.Fatal(err)
	}
	return &Policy{
		ServiceName: "Kenya Power", Currency: "KES", Language: "en", Templates: templates, MaxSegments: 2,
		Stages: []Stage{-7, -3, 0, 2},
	}
}

func wordBill() Bill {
	balance := MustMoney("2315.50")
	return Bill{Account: "12345678", Customer: "Jane Wanjiru", Balance: &balance, DueDate: NewDate(2026, time.March, 3)}
}

func TestWord(t *testing.T) {
	tests := map[string]struct {
		language   string
		name       string
		withAmount bool
		away       int // days from the due date to today
		want       string
	}{
		"three days before": {"en", "Jane Wanjiru", true, -3,
			"Hello Jane Wanjiru, your Kenya Power bill (account 12345678) is due in 3 days, on 3 March 2026. Amount due: KES 2,315.50."},
		"the day before": {"en", "Jane Wanjiru", true, -1,
			"Hello Jane Wanjiru, your Kenya Power bill (account 12345678) is due tomorrow, on 3 March 2026. Amount due: KES 2,315.50."},
		"due day": {"en", "Jane Wanjiru", true, 0,
			"Hello Jane Wanjiru, your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50."},
		"the day after": {"en", "Jane Wanjiru", true, 1,
			"Hello Jane Wanjiru, your Kenya Power bill (account 12345678) was due yesterday, on 3 March 2026. Unpaid: KES 2,315.50. Please ignore if paid."},
		"two days after": {"en", "Jane Wanjiru", true, 2,
			"Hello Jane Wanjiru, your Kenya Power bill (account 12345678) was due 2 days ago, on 3 March 2026. Unpaid: KES 2,315.50. Please ignore if paid."},
		"amount not to be named": {"en", "Jane Wanjiru", false, -3,
			"Hello Jane Wanjiru, your Kenya Power bill (account 12345678) is due in 3 days, on 3 March 2026. Please ignore if paid."},
		"no name": {"en", "", true, -3,
			"Your Kenya Power bill (account 12345678) is due in 3 days, on 3 March 2026. Amount due: KES 2,315.50."},
		"Swahili, three days before": {"sw", "Jane Wanjiru", true, -3,
			"Habari Jane Wanjiru, mwisho wa kulipa bili ya Kenya Power (akaunti 12345678) ni baada ya siku 3, tarehe 3 Machi 2026. Kiasi: KES 2,315.50."},
		"Swahili, the day before": {"sw", "Jane Wanjiru", false, -1,
			"Habari Jane Wanjiru, mwisho wa kulipa bili ya Kenya Power (akaunti 12345678) ni kesho, tarehe 3 Machi 2026. Kama umelipa, asante."},
		"Swahili, due day, no name": {"sw", "", true, 0,
			"Mwisho wa kulipa bili ya Kenya Power (akaunti 12345678) ni leo, tarehe 3 Machi 2026. Kiasi: KES 2,315.50."},
		"Swahili, the day after": {"sw", "Jane Wanjiru", true, 1,
			"Habari Jane Wanjiru, bili ya Kenya Power (akaunti 12345678) ilipaswa kulipwa jana, 3 Machi 2026. Deni: KES 2,315.50. Asante."},
		"Swahili, two days after, no amount": {"sw", "", false, 2,
			"Bili ya Kenya Power (akaunti 12345678) ilipaswa kulipwa siku 2 zilizopita, 3 Machi 2026. Kama umelipa, asante."},
		"a language without a template is the policy's": {"fr", "", true, 0,
			"Your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50."},
		"a name in capitals, oddly spaced": {"en", "  JANE \t WANJIRU\nKAMAU ", true, 0,
			"Hello JANE WANJIRU KAMAU, your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50."},
		"a name that would be a template": {"en", "{{.Account}}", true, 0,
			"Hello .Account, your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50."},
		"a name of many price doublers": {"en", "Mũthoni Ng’ang’a\u200b – “Co”", true, 0,
			`Hello Muthoni Ng'ang'a - "Co", your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50.`},
		"a name that is only space": {"en", " \u00a0 ", true, 0,
			"Your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50."},
	}
	p := wordPolicy(t, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := wordBill()
			b.Language, b.Customer = tt.language, tt.name
			got, err := p.Word(b, b.DueDate.AddDays(tt.away), tt.withAmount)
			if err != nil {
				t.Fatal(err)
			}
			language := tt.language
			if language == "fr" {
				language = "en"
			}
			if diff := cmp.Diff(Draft{tt.want, language, Count(tt.want)}, got); diff != "" {
				t.Errorf("Word (-want +got):\n%s", diff)
			}
			if got.Count.Segments != 1 || got.Count.Encoding != "GSM-7" {
				t.Errorf("costs %+v, want one GSM-7 segment", got.Count)
			}
		})
	}
}

func TestWordNamesNoAmountThatIsNotOwed(t *testing.T) {
	p := wordPolicy(t, nil)
	zero, credit := Money{}, MustMoney("-20")
	for name, balance := range map[string]*Money{"not known": nil, "nothing": &zero, "credit": &credit} {
		t.Run(name, func(t *testing.T) {
			b := wordBill()
			b.Balance = balance
			got, err := p.Word(b, b.DueDate, true)
			if err != nil || strings.Contains(got.Body, "KES") {
				t.Errorf("Word = %q, %v", got.Body, err)
			}
		})
	}
}

func TestWordInALanguageWithoutWordsForDays(t *testing.T) {
	p := wordPolicy(t, map[string]TemplateSource{"fr": {
		Before: "Facture {{.Account}} {{.DueDate}}{{if .Days}}, dans {{.Days}} j{{end}}.",
		After:  "Facture {{.Account}} {{.DueDate}}, {{.Days}} j de retard.",
	}})
	for away, want := range map[int]string{
		-3: "Facture 12345678 03/03/2026, dans 3 j.",
		0:  "Facture 12345678 03/03/2026.",
		2:  "Facture 12345678 03/03/2026, 2 j de retard.",
	} {
		b := wordBill()
		b.Language = "fr"
		got, err := p.Word(b, b.DueDate.AddDays(away), true)
		if err != nil || got.Body != want || got.Language != "fr" {
			t.Errorf("%+d days: %+v, %v; want %q", away, got, err, want)
		}
	}
}

// Texts of one phone are told apart at the provider by their words, so these
// must differ whenever the bill, its due date or the day does.
func TestShippedTextsDiffer(t *testing.T) {
	p := wordPolicy(t, nil)
	for _, language := range p.Templates.Languages() {
		seen := map[string]string{}
		for _, account := range []string{"12345678", "12345679"} {
			for _, due := range []Date{NewDate(2026, time.March, 3), NewDate(2026, time.April, 3), NewDate(2027, time.March, 3)} {
				for away := -10; away <= 10; away++ {
					for _, withAmount := range []bool{true, false} {
						b := wordBill()
						b.Language, b.Account, b.DueDate = language, account, due
						got, err := p.Word(b, due.AddDays(away), withAmount)
						if err != nil {
							t.Fatal(err)
						}
						what := account + " due " + due.String() + " on " + due.AddDays(away).String()
						if other, ok := seen[got.Body]; ok {
							t.Errorf("%s reads like %s: %q", what, other, got.Body)
						}
						seen[got.Body] = what
					}
				}
			}
		}
	}
}

// Ordinary: a name of three words, a service and an account of eleven
// characters, five digits owed, the longest month, two-digit days.
func TestShippedTextsAreOneSegmentWithOrdinaryData(t *testing.T) {
	p := wordPolicy(t, nil)
	owed := MustMoney("12315.50")
	for _, language := range p.Templates.Languages() {
		for away := -14; away <= 9; away++ {
			for _, withAmount := range []bool{true, false} {
				b := Bill{
					Language: language, Account: "12345678901", Customer: "Jane Wanjiru Kamau",
					Balance: &owed, DueDate: NewDate(2026, time.September, 30),
				}
				got, err := p.Word(b, b.DueDate.AddDays(away), withAmount)
				if err != nil {
					t.Fatal(err)
				}
				if got.Count.Segments != 1 || got.Count.Encoding != "GSM-7" {
					t.Errorf("%s %+d days: %+v: %q", language, away, got.Count, got.Body)
				}
			}
		}
	}
}

func TestWordDropsTheNameOfATextThatIsTooLong(t *testing.T) {
	p := wordPolicy(t, nil)
	p.MaxSegments = 1
	b := wordBill()
	b.Customer = "Жанна Каренина"
	got, err := p.Word(b, b.DueDate, true)
	if err != nil {
		t.Fatal(err)
	}
	const want = "Your Kenya Power bill (account 12345678) is due today, on 3 March 2026. Amount due: KES 2,315.50."
	if got.Body != want {
		t.Errorf("Word = %q, want %q", got.Body, want)
	}
}

func TestWordTooLong(t *testing.T) {
	tests := map[string]struct {
		account, says string
	}{
		"long account":       {strings.Repeat("1234567890 ", 12), "2 segments, 1 allowed"},
		"foreign characters": {"счёт 1", "'с' forces UCS-2"},
	}
	p := wordPolicy(t, nil)
	p.MaxSegments = 1
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := wordBill()
			b.Account = tt.account
			got, err := p.Word(b, b.DueDate, true)
			if !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want ErrTooLong with %q", err, tt.says)
			}
			if diff := cmp.Diff(Draft{}, got); diff != "" {
				t.Errorf("a draft beside the error:\n%s", diff)
			}
		})
	}
	p.MaxSegments = 0
	b := wordBill()
	b.Account = tests["long account"].account
	if _, err := p.Word(b, b.DueDate, true); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

func TestWordWithoutADueDate(t *testing.T) {
	b := wordBill()
	b.DueDate = Date{}
	if got, err := wordPolicy(t, nil).Word(b, NewDate(2026, time.March, 3), true); err == nil {
		t.Errorf("Word = %q, want an error", got.Body)
	}
}

func TestWordInALanguageWithoutTemplates(t *testing.T) {
	b := wordBill()
	if got, err := (&Policy{Language: "en"}).Word(b, b.DueDate, true); err == nil || errors.Is(err, ErrTooLong) {
		t.Errorf("Word = %q, %v; want an error that is not ErrTooLong", got.Body, err)
	}
}

func TestWordTidiesWhiteSpace(t *testing.T) {
	p := wordPolicy(t, map[string]TemplateSource{"en": {
		Before: "\n  {{.Service}}   {{.Description}}  \n\n\tdue\u00a0 {{.When}} \n",
		After:  "{{.Account}}",
	}})
	b := wordBill()
	got, err := p.Word(b, b.DueDate, true)
	if err != nil || got.Body != "Kenya Power\ndue today" {
		t.Errorf("Word = %q, %v", got.Body, err)
	}
}

func TestPlain(t *testing.T) {
	tests := map[string]struct {
		in   string
		most int
		want string
	}{
		"nothing to do":            {"Jane Wanjiru", 40, "Jane Wanjiru"},
		"just fits":                {"12345678", 8, "12345678"},
		"cut at a word":            {"Jane Wanjiru Kamau", 14, "Jane Wanjiru"},
		"a word ends at the limit": {"Jane Wanjiru Kamau", 12, "Jane Wanjiru"},
		"one long word":            {"Llanfairpwllgwyngyll", 8, "Llanfair"},
		"a short first word":       {"A Llanfairpwllgwyngyll", 10, "A Llanfair"},
		"characters, not bytes":    {"ééééééé", 7, "ééééééé"},
		"cut between characters":   {"ééééééé", 3, "ééé"},
		"no limit":                 {strings.Repeat("9", 99), 0, strings.Repeat("9", 99)},
		"padded to the limit":      {"Jane      ", 4, "Jane"},
		"line separator":           {"a\u2028b\u0085c\r\nd", 40, "a b c d"},
		"braces":                   {"{{a}} {b", 40, "a b"},
		"only braces":              {"{}", 40, ""},
		"control characters":       {"\x00a\x1b[b\x7f", 40, "a [b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := plain(tt.in, tt.most); got != tt.want {
				t.Errorf("plain(%q, %d) = %q, want %q", tt.in, tt.most, got, tt.want)
			}
		})
	}
}

func TestWordIsSafeForConcurrentUse(t *testing.T) {
	p := wordPolicy(t, nil)
	b := wordBill()
	want, err := p.Word(b, b.DueDate, true)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if got, err := p.Word(b, b.DueDate, true); err != nil || got != want {
					t.Errorf("Word = %+v, %v", got, err)
				}
			}
		})
	}
	group.Wait()
}

func FuzzWord(f *testing.F) {
	f.Add("Jane", "12345678", "House 4", 3)
	f.Add("{{.X}}\n", "\xff", "“”", -3)
	f.Add("", "", strings.Repeat("é ", 100), 0)
	p := wordPolicy(f, map[string]TemplateSource{"en": {
		Before: "x {{.Customer}} {{.Account}} {{.Description}}", After: "y {{.Customer}}: {{.Description}}",
	}})
	p.MaxSegments = 3
	f.Fuzz(func(t *testing.T, customer, account, description string, away int) {
		b := wordBill()
		b.Customer, b.Account, b.Description = customer, account, description
		got, err := p.Word(b, b.DueDate.AddDays(away%1000), true)
		if err != nil {
			if !errors.Is(err, ErrTooLong) {
				t.Fatal(err)
			}
			return
		}
		switch {
		case got.Count.Segments < 1 || got.Count.Segments > p.MaxSegments:
			t.Fatalf("%d segments: %q", got.Count.Segments, got.Body)
		case strings.ContainsAny(got.Body, "\n\r\t{}") || strings.Contains(got.Body, "  ") || strings.TrimSpace(got.Body) != got.Body:
			t.Fatalf("not one clean line: %q", got.Body)
		case !utf8.ValidString(got.Body):
			t.Fatalf("not UTF-8: %q", got.Body)
		}
	})
}
