package almara

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestServicesAreReadInEveryKnownForm(t *testing.T) {
	power := Service{ID: "bc97d2b1-4828-f111-bc5a-0w7d952d79b7", Category: "ELECTRICITY", Type: "KPLC POSTPAID"}
	water := Service{ID: "1042", Name: "Nairobi Water", Category: "WATER"}
	const entries = `[{"serviceId": "bc97d2b1-4828-f111-bc5a-0w7d952d79b7", "category": "ELECTRICITY", "type": "KPLC POSTPAID"},
		{"serviceId": 1042, "serviceName": "Nairobi Water", "category": "WATER", "type": null}]`
	for name, body := range map[string]string{
		"a bare list":            entries,
		"with a byte order mark": "\uFEFF" + entries,
		"wrapped in message":     `{"message": ` + entries + `}`,
		"wrapped twice":          `{"message": {"appDomainName": "TEST", "Services": ` + entries + `}, "errors": [], "reason": null}`,
		"beside a message":       `{"message": "OK", "data": ` + entries + `}`,
		"the only page":          `{"data": ` + entries + `, "meta": {"total": "2", "total_pages": 1, "hasNext": false}, "links": {"next": null}}`,
		"other names": `{"items": [{"ID": "bc97d2b1-4828-f111-bc5a-0w7d952d79b7", "Category": "ELECTRICITY", "Type": "KPLC POSTPAID", "logo": {"url": "x"}},
			{"Id": "1042", "name": "Nairobi Water", "CATEGORY": "WATER"}]}`,
		"numbers as texts and a row number": `[{"id": 1, "serviceId": "bc97d2b1-4828-f111-bc5a-0w7d952d79b7", "category": "ELECTRICITY", "type": "KPLC POSTPAID"},
			{"id": 2, "serviceId": "1042", "serviceName": "Nairobi Water", "category": "WATER"}]`,
		"one twice alike": strings.TrimSuffix(entries, "]") + `, {"serviceId": "1042", "serviceName": "Nairobi Water", "category": "WATER"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{script: []http.HandlerFunc{reply200(body)}}
			got, err := onServer(t, f).Services(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ServiceList{Services: []Service{power, water}}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if a := f.bills[0]; a.Method != "GET" || a.Path != "/v1/bill-services" || a.Query != "" || a.Auth != "Bearer tok-1" {
				t.Errorf("asked by %+v", a)
			}
		})
	}
}

func TestServicesSayWhatMayBeMissing(t *testing.T) {
	const good = `{"id": "7", "type": "RENT"}`
	for name, tt := range map[string]struct{ body, want string }{
		"more pages by count":   {`{"data": [` + good + `], "totalPages": 3}`, "the answer is one page of several, and only that page is read"},
		"more pages by total":   {`{"data": [` + good + `], "meta": {"page": {"total_count": "2"}}}`, "one page of several"},
		"more pages by address": {`{"data": [` + good + `], "links": {"next": "/v1/bill-services?page=2"}}`, "one page of several"},
		"more pages by a flag":  {`{"message": {"items": [` + good + `], "hasMore": true}}`, "one page of several"},
		"no id":                 {`[` + good + `, {"type": "TV"}, {"id": "N/A"}]`, "2 of 3 entries cannot be read, such as entry 2: it has no id"},
		"an id of two lines":    {`[` + good + `, {"id": "a\nb"}]`, "1 of 2 entries cannot be read, such as entry 2: its id is neither a text of one line nor a whole number: a b"},
		"a fraction as id":      {`[` + good + `, {"id": 10.5}]`, "its id is neither a text of one line nor a whole number: 10.5"},
		"an id that is long":    {`[` + good + `, {"id": "` + strings.Repeat("9", 101) + `"}]`, "its id is neither"},
		"two ids":               {`[` + good + `, {"id": "8", "ID": "9"}]`, `the id is given twice, as "8" and as "9"`},
		"one id, two services":  {`[` + good + `, {"id": 7, "type": "TV"}]`, "service 7 is there already, with another name, category or type"},
		"no object":             {`[` + good + `, "8"]`, "it is no JSON object: 8"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := onServer(t, &fake{script: []http.HandlerFunc{reply200(tt.body)}}).Services(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Service{{ID: "7", Type: "RENT"}}, got.Services); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.Missing) != 1 || !strings.Contains(got.Missing[0], tt.want) {
				t.Errorf("missing: %q, want %s", got.Missing, tt.want)
			}
		})
	}
	f := &fake{script: []http.HandlerFunc{answer(200, "application/json", `[`+good+`]`, "Link", `</v1/bill-services?page=2>; rel="next"`)}}
	if got, err := onServer(t, f).Services(t.Context()); err != nil || len(got.Missing) != 1 {
		t.Errorf("by a header: %+v, %v", got, err)
	}
}

func TestServicesThatCannotBeHadAreAnErrorThatSaysWhy(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an empty list":      {reply200(`[]`), "almara pay gives no list of its services: it is empty, so this client may use none"},
		"an empty object":    {reply200(`{}`), "almara pay: services: the answer has no list of services in a known form: status 200 ({})"},
		"a text":             {reply200(`"none"`), "the answer has no list of services in a known form"},
		"a cut list":         {reply200(`[{"id": "7"}`), "the answer has no list of services in a known form"},
		"something behind":   {reply200(`{"data": [{"id": "7"}]} x`), "the answer has no list of services in a known form"},
		"another key":        {reply200(`{"transactions": [{"id": "7"}]}`), "the answer has no list of services in a known form"},
		"two lists":          {reply200(`{"data": [{"id": "7"}], "items": [{"id": "8"}]}`), "the answer has several lists, and does not say which"},
		"a key twice":        {reply200(`{"data": [{"id": "7"}], "Data": [{"id": "8"}]}`), "the answer has several lists"},
		"a saved bill":       {reply200(seedSample), "the answer has no list of services in a known form"},
		"nothing readable":   {reply200(`[{"name": "A"}, {"name": "B"}]`), "services: 2 of 2 entries cannot be read, such as entry 1: it has no id"},
		"a page":             {answer(200, "text/html", "<title>Sign in</title>"), "services: the answer is not JSON: status 200 (Sign in)"},
		"a failure with 200": {reply200(seedFailure), "gives no list of its services: Account number number is invalid."},
		"errors with 200":    {reply200(`{"data": [], "errors": ["down"]}`), `the answer gives errors: ["down"]`},
		"not there":          {answer(404, "text/html", "<h1>Not Found</h1>"), "gives no list of its services: status 404 (Not Found)"},
		"a validation error": {answer(400, "application/problem+json", seedProblem), "One or more validation errors occurred. (status 400)"},
		"no right":           {status(403), "this client has no right to it: ask Almara Pay, or check almara.scope and base_url"},
		"refused tokens":     {status(401), "the token is refused (status 401) although it is new: check almara.client_id, client_secret and scope"},
		"elsewhere":          {status(302, "Location", "https://example.com"), "a redirect, which is not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := onServer(t, &fake{script: []http.HandlerFunc{tt.answer}}).Services(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v\nwant %s", list, err, tt.want)
			}
			if outcomeOf(err) == "" {
				t.Errorf("%T is none of the errors of this package", err)
			}
		})
	}
}

func TestServicesAreAskedForAgainWhereThatMayHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{script: []http.HandlerFunc{status(503), status(401), reply200(`[{"id": 7}]`)}}
		got, err := inMemory(t, f).Services(t.Context())
		if tokens, asked := f.counts(); err != nil || len(got.Services) != 1 || tokens != 2 || asked != 3 {
			t.Errorf("%+v, %v, after %d requests with %d tokens", got, err, asked, tokens)
		}
	})
}

func TestServicesKeepSecretsOutOfErrors(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		answer(400, "application/json", fmt.Sprintf(`{"message": "no %s"}`, r.Header.Get("Authorization")))(w, r)
	}
	_, err := onServer(t, &fake{script: []http.HandlerFunc{echo}}).Services(t.Context())
	var unclear *UnclearError
	if !errors.As(err, &unclear) || strings.Contains(err.Error(), "tok-1") {
		t.Error(err)
	}
}
