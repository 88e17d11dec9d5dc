package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"duewatch/almara"
	"duewatch/reminder"
	"duewatch/store"
)

// Every answer that Almara Pay may give about a bill, and what it speaks for.
func TestWhatAnAnswerOfAlmaraPaySpeaksFor(t *testing.T) {
	t.Parallel()
	sample := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("..", "almara", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const (
		asJSON  = "application/json"
		reason  = `{"appDomainName": "LIVE", "timestamp": "2021-10-18T07:14:53.1362329Z", "reason": "Account number number is invalid."}`
		problem = `{"errors": {"AccountNumber": ["The AccountNumber field is required."]}, "title": "One or more validation errors occurred.", "status": 400}`
		flat    = `{"customerName": "JANE", "dueDate": "2026-10-18 00:00"}`
		page    = "<html><h1>Sorry</h1></html>"
	)
	type reply struct {
		status     int
		kind, body string
	}
	type row struct {
		reply
		scope scope
		makes string // of the bill's result
	}
	rows := map[string]row{
		"answer":                 {reply{200, asJSON, `{"message": ` + flat + `}`}, forItself, "answer"},
		"answer of a lookup":     {reply{200, asJSON, flat}, forItself, "answer"},
		"reason":                 {reply{200, asJSON, reason}, forItself, "rejected"},
		"reason, 400":            {reply{400, asJSON, reason}, forItself, "rejected"},
		"reason, 404":            {reply{404, asJSON, reason}, forItself, "rejected"},
		"validation":             {reply{400, "application/problem+json", problem}, forItself, "rejected"},
		"problem without errors": {reply{404, asJSON, sample("almara-404-problem-without-errors.json")}, forItself, "unclear"},
		"message":                {reply{400, asJSON, sample("almara-400-message-text.json")}, forItself, "unclear"},
		"detail":                 {reply{404, "application/problem+json", `{"detail": "No such bill"}`}, forItself, "unclear"},
		"error":                  {reply{400, asJSON, `{"error": "x", "error_description": "y"}`}, forItself, "unclear"},
		"page, 404":              {reply{404, "text/html", page}, forItself, "unclear"},
		"no body, 404":           {reply{404, "", ""}, forItself, "unclear"},
		"403":                    {reply{403, asJSON, problem}, forAllIfOthersAgree, "forbidden"},
		"page, 403":              {reply{403, "text/html", page}, forAllIfOthersAgree, "forbidden"},
		"401 twice":              {reply{401, asJSON, "{}"}, forAll, "nothing"},
		"empty object":           {reply{200, asJSON, "{}"}, forItself, "failed"},
		"page, 200":              {reply{200, "text/html", page}, forItself, "failed"},
		"redirect":               {reply{302, "", ""}, forItself, "failed"},
	}
	for _, status := range []int{402, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 418, 421, 422, 423, 424, 425, 426, 428, 431, 451, 499} {
		rows[fmt.Sprint(status)] = row{reply{status, asJSON, "{}"}, forItself, "unclear"}
	}
	for _, status := range []int{408, 429, 500, 501, 502, 503, 504, 520, 599} {
		rows[fmt.Sprint(status)] = row{reply{status, asJSON, "{}"}, forItself, "failed"}
	}
	const token = `{"access_token": "t", "expires_in": 3600}`
	client := func(t *testing.T, tokenStatus int, r reply) *almara.Client {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
			answer := r
			if strings.Contains(in.URL.Path, "token") {
				answer = reply{tokenStatus, asJSON, token}
			}
			w.Header().Set("Content-Type", answer.kind)
			w.Header().Set("Retry-After", "86399") // so that a failure is not tried again here
			w.WriteHeader(answer.status)
			_, _ = io.WriteString(w, answer.body)
		}))
		t.Cleanup(server.Close)
		c, err := almara.New(almara.Config{BaseURL: server.URL, ClientID: "id", ClientSecret: "secret", Rate: 1e6})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	bill := reminder.Bill{ID: 7, Service: "12", Account: "A1", Phone: phone(1)}
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := client(t, 200, c.reply).Register(t.Context(), bill)
			if got := almaraScope(err); got != c.scope {
				t.Errorf("%v speaks for %s, want %s", err, got, c.scope)
			}
			if got := makes(checkResultOf(bill.ID, answer, err)); got != c.makes {
				t.Errorf("%v makes of the bill: %s, want %s", err, got, c.makes)
			}
		})
	}
	for _, status := range []int{400, 401, 403, 404} {
		_, err := client(t, status, reply{200, asJSON, flat}).Register(t.Context(), bill)
		if almaraScope(err) != forAll {
			t.Errorf("no token, %d: %v does not speak for all", status, err)
		}
	}
	for _, c := range []struct {
		err   error
		scope scope
	}{
		{almara.ErrBreakerOpen, forAll}, {fmt.Errorf("%w; the last: x", almara.ErrBreakerOpen), forAll},
		{context.Canceled, forNobody}, {context.DeadlineExceeded, forNobody}, {errors.New("of no known type"), forNobody},
	} {
		if got := almaraScope(c.err); got != c.scope {
			t.Errorf("%v speaks for %s, want %s", c.err, got, c.scope)
		}
	}
}

// makes is what a result makes of its bill.
func makes(l store.CheckResult) string {
	switch {
	case l.Answer != nil:
		return "answer"
	case l.Rejected != "":
		return "rejected"
	case l.Refused == store.Unclear:
		return "unclear"
	case l.Refused == store.Forbidden:
		return "forbidden"
	case l.Failed != "" && l.After <= 10*time.Minute:
		return "failed"
	}
	return "nothing"
}
