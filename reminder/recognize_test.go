package reminder

import "testing"

func TestRecognizes(t *testing.T) {
	t.Parallel()
	p := shippedPolicy(t)
	p.ServiceName = "Nairobi Water"
	p.Stages = []Stage{-7, 0, 2}
	ours := ordinary(t).Bill
	word := func(change func(*Bill)) string {
		b := ours
		change(&b)
		draft, err := p.Word(b, day("2026-03-17"), true)
		if err != nil {
			t.Fatal(err)
		}
		return draft.Body
	}
	for name, tc := range map[string]struct {
		body string
		want bool
	}{
		"as it would read":             {word(func(*Bill) {}), true},
		"of another due date":          {word(func(b *Bill) { b.DueDate = day("2026-04-20") }), true},
		"after the due date":           {word(func(b *Bill) { b.DueDate = day("2026-03-15") }), true},
		"with another amount":          {word(func(b *Bill) { m := MustMoney("9.00"); b.Balance = &m }), true},
		"without an amount":            {word(func(b *Bill) { b.Balance = nil }), true},
		"without a name":               {word(func(b *Bill) { b.Customer = "" }), true},
		"in Swahili":                   {word(func(b *Bill) { b.Language = "sw" }), true},
		"of another account":           {word(func(b *Bill) { b.Account = "87654321" }), false},
		"of somebody else's making":    {"Payment of KES 2,315.50 for account 12345678 received. Thank you.", false},
		"the account and nothing else": {"12345678", false},
		"nothing":                      {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := p.Recognizes(ours, tc.body); got != tc.want {
				t.Errorf("Recognizes(%q) = %t, want %t", tc.body, got, tc.want)
			}
		})
	}
}
