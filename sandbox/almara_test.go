package sandbox

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

func TestToken(t *testing.T) {
	form := func(id, secret, grant string) string {
		return url.Values{"client_id": {id}, "client_secret": {secret}, "grant_type": {grant}}.Encode()
	}
	const formType = "application/x-www-form-urlencoded"
	for name, tc := range map[string]struct {
		path, contentType, body string
		status                  int
		has                     string
	}{
		"json": {"/v1/oauth/token", "application/json",
			`{"client_id":"` + ClientID + `","client_secret":"` + ClientSecret + `","grant_type":"client_credentials","scope":"bills"}`, 200, `"scope":"bills"`},
		"form":         {"/v1/oauth/token", formType, form(ClientID, ClientSecret, "client_credentials"), 200, `"expires_in":3600`},
		"former path":  {"/connect/token", formType, form(ClientID, ClientSecret, "client_credentials"), 200, `"token_type":"Bearer"`},
		"wrong secret": {"/v1/oauth/token", formType, form(ClientID, "guess", "client_credentials"), 401, "invalid_client"},
		"wrong grant":  {"/v1/oauth/token", formType, form(ClientID, ClientSecret, "password"), 400, "unsupported_grant_type"},
		"broken json":  {"/v1/oauth/token", "application/json", `{"client_id":`, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestServer(t, Options{})
			got := b.do(b.request("POST", tc.path, tc.contentType, tc.body))
			if got.status != tc.status || !strings.Contains(got.body, tc.has) {
				t.Errorf("got %d %s, want %d with %s", got.status, got.body, tc.status, tc.has)
			}
		})
	}
}

func TestTokenEnds(t *testing.T) {
	for name, end := range map[string]func(*testServer){
		"missing":     func(b *testServer) { b.token = "none" },
		"forged":      func(b *testServer) { b.token += "0" },
		"after 1 h":   func(b *testServer) { b.clock.pass(time.Hour) },
		"revoked":     func(b *testServer) { b.RevokeTokens() },
		"prolonged":   func(b *testServer) { b.token = "z" + b.token },
		"empty token": func(b *testServer) { b.token = "." },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestServer(t, Options{})
			if got := b.register("1042", "DUE+3-1"); got.status != 200 {
				t.Fatalf("with a fresh token: %d %s", got.status, got.body)
			}
			end(b)
			got := b.register("1042", "DUE+3-1")
			if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("got %d, want 401 with a challenge", got.status)
			}
		})
	}
	b := newTestServer(t, Options{})
	b.register("1042", "DUE+3-1")
	b.clock.pass(time.Hour - time.Millisecond)
	if got := b.register("1042", "DUE+3-1"); got.status != 200 {
		t.Errorf("just before the hour: %d", got.status)
	}
}

func TestRegisterAnswersAsDocumented(t *testing.T) {
	b := newTestServer(t, Options{})
	got := b.register(ServiceElectricity, "14200331")
	if got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	var conversation struct {
		Message struct {
			ID string `json:"systemConversationId"`
		} `json:"message"`
	}
	got.decode(t, &conversation)
	want := `{
  "message": {
    "appDomainName": "TEST",
    "remarks": "Bill Number submission accepted",
    "serviceCode": null,
    "accountCustomerName": "Wanjiru Kamau",
    "systemConversationId": "` + conversation.Message.ID + `",
    "lastKnownBalance": 2315.5,
    "dueDate": "2026-05-07",
    "verified": true,
    "timestamp": "2026-05-04T09:00:00.3555322Z"
  }
}`
	if diff := cmp.Diff(want, indent(t, got.body)); diff != "" {
		t.Error(diff)
	}
	kept, ok := b.Bill(ServiceElectricity, "14200331")
	if !ok || !kept.Registered || !kept.RemindMe || kept.Phone.Digits() != "254710000001" || kept.Description != "House 12" {
		t.Errorf("kept %+v, %v", kept, ok)
	}
}

func TestRegisterRefusals(t *testing.T) {
	const jsonType = "application/json"
	for name, tc := range map[string]struct {
		contentType, body string
		status            int
		has               string
	}{
		"no account":     {jsonType, `{"serviceId":"1042"}`, 400, `"AccountNumber":["The AccountNumber field is required."]`},
		"no service":     {jsonType, `{"accountNumber":"1"}`, 400, `"ServiceId":["The ServiceId field is required."]`},
		"plus in phone":  {jsonType, `{"serviceId":"1042","accountNumber":"1","phoneNumber":"+254710000001"}`, 400, `"PhoneNumber":`},
		"problem fields": {jsonType, `{}`, 400, `"title":"One or more validation errors occurred.","status":400,"traceId":"00-`},
		"not json":       {jsonType, `serviceId=1042`, 400, `"errors":{"$":`},
		"a form":         {"application/x-www-form-urlencoded", `serviceId=1042`, 415, `"status":415`},
		"refused":        {jsonType, `{"serviceId":"1042","accountNumber":"REJECT-1"}`, 400, `"reason":"Account number number is invalid."`},
		"refused by 200": {jsonType, `{"serviceId":"1042","accountNumber":"REJECT200-1"}`, 200, `"reason":`},
		"refused sample": {jsonType, `{"serviceId":"` + ServiceElectricity + `","accountNumber":"1420"}`, 400, `"reason":`},
		"integer id":     {jsonType, `{"serviceId":1042,"accountNumber":"DUE+3-1"}`, 200, `"lastKnownBalance":1250.5`},
		"no remind me":   {jsonType, `{"serviceId":"1042","accountNumber":"DUE+3-2"}`, 200, `"verified":true`},
		"null phone":     {jsonType, `{"serviceId":"1042","accountNumber":"DUE+3-2","phoneNumber":null}`, 200, `"verified":true`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestServer(t, Options{})
			got := b.do(b.bearer(b.request("POST", "/v1/bill-numbers", tc.contentType, tc.body)))
			if got.status != tc.status || !strings.Contains(got.body, tc.has) {
				t.Errorf("got %d %s, want %d with %s", got.status, got.body, tc.status, tc.has)
			}
		})
	}
}

func TestScriptedAccounts(t *testing.T) {
	for account, want := range map[string][]string{
		"DUE+0-1":          {`"dueDate":"2026-05-04"`, `"lastKnownBalance":1250.5,`},
		"DUE+25-1":         {`"dueDate":"2026-05-29"`},
		"DUE-5-1":          {`"dueDate":"2026-04-29"`},
		"DUE+0-PAID-1":     {`"dueDate":"2026-05-04"`, `"lastKnownBalance":0,`},
		"DUE+1-CREDIT-1":   {`"dueDate":"2026-05-05"`, `"lastKnownBalance":-150.75,`},
		"PAID-1":           {`"dueDate":"2026-05-07"`, `"lastKnownBalance":0,`},
		"NOBALANCE-1":      {`"dueDate":"2026-05-07"`, `"lastKnownBalance":null,`},
		"UNKNOWN-DUE-PAID": {`"lastKnownBalance":0,`},
	} {
		t.Run(account, func(t *testing.T) {
			b := newTestServer(t, Options{})
			got := b.register("1042", account)
			for _, part := range want {
				if !strings.Contains(got.body, part) {
					t.Errorf("%s lacks %s", got.body, part)
				}
			}
		})
	}
}

func TestUnknownDueDateTakesEveryForm(t *testing.T) {
	b := newTestServer(t, Options{})
	seen := make(map[string]bool)
	for _, n := range "0123456789" {
		got := b.register("1042", "UNKNOWN-DUE-"+string(n))
		for _, form := range []string{`"dueDate":null`, `"dueDate":"-1"`, `"dueDate":""`} {
			seen[form] = seen[form] || strings.Contains(got.body, form)
		}
	}
	if want := map[string]bool{`"dueDate":null`: true, `"dueDate":"-1"`: true, `"dueDate":""`: true}; !cmp.Equal(seen, want) {
		t.Error(cmp.Diff(want, seen))
	}
}

func TestDueDateStaysWhereItWasFirstSeen(t *testing.T) {
	b := newTestServer(t, Options{})
	for _, account := range []string{"14200331", "DUE+3-1", "8812"} {
		b.register(ServiceElectricity, account)
		before, _ := b.Bill(ServiceElectricity, account)
		b.clock.pass(30 * time.Hour)
		b.token = ""
		b.register(ServiceElectricity, account)
		if after, _ := b.Bill(ServiceElectricity, account); after.DueDate != before.DueDate {
			t.Errorf("%s moved from %s to %s", account, before.DueDate, after.DueDate)
		}
	}
}

func TestTodayIsTheZonesDay(t *testing.T) {
	nairobi := time.FixedZone("EAT", 3*60*60)
	b := newTestServer(t, Options{Zone: nairobi})
	b.clock.pass(13 * time.Hour) // 22:00 UTC, already the 5th in Nairobi
	if got := b.register("1042", "DUE+0-1"); !strings.Contains(got.body, `"dueDate":"2026-05-05"`) {
		t.Error(got.body)
	}
}

func TestLookupAndServices(t *testing.T) {
	b := newTestServer(t, Options{})
	get := func(path string) reply { return b.do(b.bearer(b.request("GET", path, "", ""))) }
	const path = "/v1/bill-numbers?serviceId=1042&accountNumber=DUE%2B3-1"
	if got := get(path); got.status != 404 || !strings.Contains(got.body, `"reason":`) {
		t.Errorf("before registering: %d %s", got.status, got.body)
	}
	b.register("1042", "DUE+3-1")
	kept, _ := b.Bill("1042", "DUE+3-1")
	want := `{
  "serviceID": "1042",
  "customerName": "` + kept.Customer + `",
  "accountNumber": "DUE+3-1",
  "phoneNumber": "254710000001",
  "enabled": true,
  "verified": true,
  "dueDate": "2026-05-07 00:00",
  "lastKnownBalance": 1250.5
}`
	if diff := cmp.Diff(want, indent(t, get(path).body)); diff != "" {
		t.Error(diff)
	}
	if got := get("/v1/bill-services"); !strings.Contains(got.body, `"category":"ELECTRICITY","type":"KPLC POSTPAID"`) {
		t.Errorf("services: %s", got.body)
	}
}

func TestPayAndMove(t *testing.T) {
	b := newTestServer(t, Options{})
	if err := b.Pay("1042", "DUE+3-1", reminder.MustMoney("-12.05")); err != nil {
		t.Fatal(err)
	}
	if err := b.Move("1042", "DUE+3-1", reminder.NewDate(2027, 1, 31)); err != nil {
		t.Fatal(err)
	}
	if kept, _ := b.Bill("1042", "DUE+3-1"); kept.Registered {
		t.Error("paying registered the bill number")
	}
	if got := b.register("1042", "DUE+3-1"); !strings.Contains(got.body, `"lastKnownBalance":-12.05,"dueDate":"2027-01-31"`) {
		t.Error(got.body)
	}
	got := b.do(b.request("POST", "/bills", "application/json", `{"service":"1042","account":"DUE+3-1","balance":"0","due_date":""}`))
	if got.status != 200 || !strings.Contains(got.body, `"balance":"0","due_date":""`) {
		t.Errorf("over HTTP: %d %s", got.status, got.body)
	}
	if strings.Contains(got.body, "254710000001") {
		t.Errorf("the number is not masked: %s", got.body)
	}
	for _, body := range []string{`{"balance":"much"}`, `{"amount":1}`, `{"service":"1042","account":"REJECT-1"}`} {
		if got := b.do(b.request("POST", "/bills", "application/json", body)); got.status/100 != 4 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if err := b.Pay("1042", "REJECT-1", reminder.Money{}); err == nil {
		t.Error("a refused account was paid")
	}
}
