package reminder

import "testing"

func TestMatchesReminder(t *testing.T) {
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
		"as it would read":                 {word(func(*Bill) {}), true},
		"of another due date":              {word(func(b *Bill) { b.DueDate = day("2026-04-20") }), true},
		"after the due date":               {word(func(b *Bill) { b.DueDate = day("2026-03-15") }), true},
		"with another amount":              {word(func(b *Bill) { m := MustMoney("9.00"); b.Balance = &m }), true},
		"without an amount":                {word(func(b *Bill) { b.Balance = nil }), true},
		"without a name":                   {word(func(b *Bill) { b.Customer = "" }), true},
		"in Swahili":                       {word(func(b *Bill) { b.Language = "sw" }), true},
		"in words that are no longer used": {"Pay 12345678 by 20 March 2026!", true},
		"the account at both ends":         {"12345678: 20 March 2026, 12345678", true},
		"of another account":               {word(func(b *Bill) { b.Account = "87654321" }), false},
		"of a longer account":              {word(func(b *Bill) { b.Account = "123456789" }), false},
		"of an account that ends alike":    {word(func(b *Bill) { b.Account = "A12345678" }), false},
		"a receipt":                        {"Payment of KES 2,315.50 for account 12345678 received. Thank you.", false},
		"a receipt with its date":          {"Payment for account 12345678 received on 17/03/2026. Thank you.", false},
		"a date of another year":           {"Account 12345678 was opened on 20 March 2019.", false},
		"the account and nothing else":     {"12345678", false},
		"nothing":                          {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := p.MatchesReminder(ours, tc.body, day("2026-03-17")); got != tc.want {
				t.Errorf("Recognizes(%q) = %t, want %t", tc.body, got, tc.want)
			}
		})
	}
}

// An account of one digit is not found in the date.
func TestMatchesReminderOfShortAccounts(t *testing.T) {
	t.Parallel()
	p, b := shippedPolicy(t), ordinary(t).Bill
	b.Account = "20"
	for body, want := range map[string]bool{
		"Account 20 is due on 20 March 2026.": true,
		"Account 21 is due on 20 March 2026.": false,
	} {
		if got := p.MatchesReminder(b, body, day("2026-03-17")); got != want {
			t.Errorf("Recognizes(%q) = %t, want %t", body, got, want)
		}
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"Pay bill 4417 today.": true, "(account 4417)": true, "4417": true, "Pay 44170 today": false, "A4417": false, "Your code is 731955.": false, "": false,
	} {
		if got := Mentions(body, "4417"); got != want {
			t.Errorf("Mentions(%q) = %t, want %t", body, got, want)
		}
	}
}

// A text whose words nobody can read may be about a stage from its day on, for as
// long as the stage is of use.
func TestInReach(t *testing.T) {
	t.Parallel()
	p, b := shippedPolicy(t), ordinary(t).Bill // due on 20 March
	p.Stages, p.Bundle = []Stage{-3, 0}, false
	for at, want := range map[string]bool{
		"2026-03-16 12:00": false, "2026-03-17 07:00": true, "2026-03-17 09:00": true, "2026-03-19 12:00": true, "2026-03-20 09:00": true, "2026-03-21 09:00": false,
	} {
		if got := p.InReach(b, on(t, p, at)); got != want {
			t.Errorf("a text of %s is in reach: %t, want %t", at, got, want)
		}
	}
	b.DueDate = Date{}
	if p.InReach(b, on(t, p, "2026-03-17 09:00")) {
		t.Error("a bill without a due date has no stage")
	}
}
