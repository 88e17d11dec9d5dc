package notifier

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"duewatch/reminder"
	"duewatch/sandbox"
)

func TestAccountAndNumbersOfTheSandbox(t *testing.T) {
	b := newBench(t)
	if info, err := b.Account(t.Context()); err != nil || info != (AccountInfo{Active: true, Status: "active"}) {
		t.Errorf("account %+v, %v", info, err)
	}
	for number, owned := range map[reminder.Phone]bool{"+15005550006": true, sandbox.NumberNotOwned: false} {
		found, texts, err := b.Owns(t.Context(), number)
		if found != owned || texts != owned || err != nil {
			t.Errorf("%s: found %v, texts %v, %v", number, found, texts, err)
		}
	}
}

func TestAccountAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   AccountInfo
		kind   error
	}{
		"suspended trial":     {200, `{"sid": "SID", "status": "suspended", "type": "Trial"}`, AccountInfo{Trial: true, Status: "suspended"}, nil},
		"wrong secret":        {401, `{"code": 20003, "message": "Authenticate"}`, AccountInfo{}, ErrStop},
		"no such account":     {404, `{"code": 20404}`, AccountInfo{}, ErrStop},
		"another account":     {200, `{"sid": "ACx", "status": "active"}`, AccountInfo{}, ErrRetry},
		"an empty answer":     {200, `{}`, AccountInfo{}, ErrRetry},
		"a page of a proxy":   {502, `<html>`, AccountInfo{}, ErrRetry},
		"an answer cut short": {200, `{"sid": "SI`, AccountInfo{}, ErrRetry},
	} {
		t.Run(name, func(t *testing.T) {
			var sid string
			c := testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				if user, _, ok := r.BasicAuth(); r.Method != http.MethodGet || !ok || user == "" {
					t.Errorf("%s without credentials", r.Method)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.status)
				body := tt.body
				if body[:min(len(body), 13)] == `{"sid": "SID"` {
					body = fmt.Sprintf(`{"sid": %q`, sid) + body[13:]
				}
				_, _ = w.Write([]byte(body))
			}))
			sid = c.AccountSID
			info, err := newNotifier(t, c).Account(t.Context())
			if info != tt.want || !errors.Is(err, tt.kind) || (tt.kind == nil) != (err == nil) {
				t.Errorf("%+v, %v", info, err)
			}
		})
	}
}
