package reminder

import (
	"strings"
	"testing"
	"time"
)

func TestAnAnswerIsCountedByWhatItSaysOfTheFeed(t *testing.T) {
	today := day("2026-03-17")
	bill := func(balance, due string) Bill {
		b := Bill{State: BillActive, CheckedAt: day("2026-03-10").At(0, time.UTC), DueDate: day(due)}
		if balance != "" {
			m := MustMoney(balance)
			b.Balance = &m
		}
		return b
	}
	fresh := bill("100", "2026-03-20")
	fresh.State = BillPending
	for name, tt := range map[string]struct {
		before, after Bill
		answer        Answer
		want          AnswerCounts
	}{
		"owes as before":             {bill("100", "2026-03-20"), bill("100", "2026-03-20"), Answer{DueDate: day("2026-03-20")}, AnswerCounts{All: 1, Asked: 1, Owed: 1}},
		"owes nothing any more":      {bill("100", "2026-03-20"), bill("0", "2026-03-20"), Answer{DueDate: day("2026-03-20")}, AnswerCounts{All: 1, Asked: 1, Owed: 1, Turned: 1}},
		"is in credit now":           {bill("100", "2026-03-20"), bill("-1", "2026-03-20"), Answer{}, AnswerCounts{All: 1, Asked: 1, Owed: 1, Turned: 1}},
		"owed nothing before":        {bill("0", "2026-03-20"), bill("0", "2026-03-20"), Answer{}, AnswerCounts{All: 1, Asked: 1}},
		"is paid after its due date": {bill("100", "2026-03-16"), bill("0", "2026-03-16"), Answer{}, AnswerCounts{All: 1}},
		"is paid on its due date":    {bill("100", "2026-03-17"), bill("0", "2026-03-17"), Answer{}, AnswerCounts{All: 1, Asked: 1, Owed: 1, Turned: 1}},
		"says no due date again":     {bill("100", "2026-03-20"), bill("100", "2026-03-20"), Answer{}, AnswerCounts{All: 1, Asked: 1, Owed: 1}},
		"owes again":                 {bill("0", "2026-03-20"), bill("100", "2026-03-20"), Answer{}, AnswerCounts{All: 1, Asked: 1, Returned: 1}},
		"owes the next bill":         {bill("0", "2026-03-16"), bill("100", "2026-04-16"), Answer{}, AnswerCounts{All: 1}},
		"is registered":              {fresh, bill("0", "2026-03-20"), Answer{}, AnswerCounts{All: 1}},
		"could not be read":          {bill("100", "2026-03-20"), bill("100", "2026-03-20"), Answer{Problem: "x"}, AnswerCounts{All: 1, Asked: 1, Owed: 1, Unread: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var got AnswerCounts
			got.Add(tt.before, tt.after, tt.answer, today)
			if got != tt.want {
				t.Errorf("counted %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTooManyPaymentsAtOnceAreNotBelieved(t *testing.T) {
	for name, tt := range map[string]struct {
		AnswerCounts
		want bool
	}{
		"twenty of twenty":             {AnswerCounts{Asked: 20, Owed: 20, Turned: 20}, false},
		"one more":                     {AnswerCounts{Asked: 21, Owed: 21, Turned: 21}, true},
		"a fifth of many":              {AnswerCounts{Asked: 1000, Owed: 200, Turned: 200}, false},
		"more than a fifth":            {AnswerCounts{Asked: 1000, Owed: 250, Turned: 201}, true},
		"a pay day: two thirds":        {AnswerCounts{Asked: 1000, Owed: 900, Turned: 600}, false},
		"four of five that owed":       {AnswerCounts{Asked: 1000, Owed: 500, Turned: 400}, true},
		"half of them owe again":       {AnswerCounts{Asked: 1000, Owed: 300, Turned: 300, Returned: 150}, false},
		"many could not be read, only": {AnswerCounts{Asked: 100, Owed: 100, Unread: 100}, false},
	} {
		if got := tt.MassPaid(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	right := AnswerCounts{Asked: 100, Turned: 3}
	if right.PaidRight(AnswerCounts{Turned: 100, Returned: 49}) || !right.PaidRight(AnswerCounts{Turned: 100, Returned: 50}) {
		t.Error("a feed is right again when half of the bills owe again")
	}
	if (AnswerCounts{Asked: 19}).PaidRight(AnswerCounts{Turned: 100, Returned: 100}) {
		t.Error("a few answers make no feed right")
	}
}

func TestOneAnswerInTenThatCannotBeReadIsTheFormAndNoBill(t *testing.T) {
	for name, tt := range map[string]struct {
		AnswerCounts
		want, right bool
	}{
		"all of few":       {AnswerCounts{All: 19, Unread: 19}, false, false},
		"all of twenty":    {AnswerCounts{All: 20, Unread: 20}, true, false},
		"one in ten":       {AnswerCounts{All: 1000, Unread: 100}, false, true},
		"more":             {AnswerCounts{All: 1000, Unread: 101}, true, false},
		"nobody was asked": {AnswerCounts{}, false, false},
	} {
		if got, right := tt.Unreadable(), tt.ReadRight(); got != tt.want || right != tt.right {
			t.Errorf("%s: %v, right %v", name, got, right)
		}
	}
	said := AnswerCounts{All: 40, Unread: 30}.UnreadSentence(`the due date "254710000001" is not a date`)
	if strings.Contains(said, "710000001") || !strings.Contains(said, "30 of 40 answers") || !strings.Contains(said, "is not a date") {
		t.Error(said)
	}
}
