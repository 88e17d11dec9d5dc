package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const tokenLife = time.Hour // "expires after every hour" (Bill Number, Authorization)

const (
	sevenths  = "2006-01-02T15:04:05.0000000Z" // timestamps have seven decimals
	appDomain = "TEST"
)

// tokens issues and checks bearer tokens without keeping them: a token is its
// expiry and a signature. A restarted sandbox knows none of the old ones.
type tokens struct{ key *atomic.Pointer[[]byte] }

func newTokens() tokens {
	t := tokens{new(atomic.Pointer[[]byte])}
	t.revoke()
	return t
}

// revoke makes every token issued so far worthless.
func (t tokens) revoke() {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	t.key.Store(&key)
}

func (t tokens) issue(now time.Time) string {
	expiry := strconv.FormatInt(now.Add(tokenLife).UnixMilli(), 36)
	return expiry + "." + t.sign(expiry)
}

func (t tokens) valid(token string, now time.Time) bool {
	expiry, signature, _ := strings.Cut(token, ".")
	at, err := strconv.ParseInt(expiry, 36, 64)
	return err == nil && now.UnixMilli() < at && hmac.Equal([]byte(signature), []byte(t.sign(expiry)))
}

func (t tokens) sign(expiry string) string {
	mac := hmac.New(sha256.New, *t.key.Load())
	mac.Write([]byte(expiry))
	return hex.EncodeToString(mac.Sum(nil))
}

// RevokeTokens makes every bearer token issued so far worthless, as an
// expiry that comes early would.
func (s *Sandbox) RevokeTokens() { s.tokens.revoke() }

// postToken grants client credentials, from JSON (the newest page) or a form
// (the former identity server).
func (s *Sandbox) postToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	in := struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Grant  string `json:"grant_type"`
		Scope  string `json:"scope"`
	}{}
	if isJSON(r) {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
			return
		}
	} else {
		in.ID, in.Secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		in.Grant, in.Scope = r.PostFormValue("grant_type"), r.PostFormValue("scope")
	}
	// RFC 6749, 5.1 and 5.2.
	switch {
	case in.ID != ClientID || in.Secret != ClientSecret:
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case in.Grant != "client_credentials":
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
	default:
		out := map[string]any{
			"access_token": s.tokens.issue(s.now()),
			"expires_in":   int(tokenLife / time.Second),
			"token_type":   "Bearer",
		}
		if in.Scope != "" {
			out["scope"] = in.Scope
		}
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, out)
	}
}

// bearer lets a request with a valid token through and answers others 401.
func (s *Sandbox) bearer(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !s.tokens.valid(token, s.now()) {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

// billNumber is the body of POST /v1/bill-numbers (Bill Number, Save a Bill
// Number). The table has serviceId as an integer and the example as text.
type billNumber struct {
	ServiceID       looseID `json:"serviceId"`
	AccountNumber   string  `json:"accountNumber"`
	PhoneNumber     string  `json:"phoneNumber"`
	TransactionDesc string  `json:"transactionDesc"`
	RemindMeDueDate bool    `json:"RemindMeDueDate"`
}

// looseID is text, or a whole number kept as its digits.
type looseID string

func (id *looseID) UnmarshalJSON(b []byte) error {
	if digits.Match(b) {
		*id = looseID(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(id))
}

var (
	digits = regexp.MustCompile(`^\d+$`)
	msisdn = regexp.MustCompile(`^[1-9]\d{8,14}$`) // 254710000000: country code, no plus
)

// saved is the wrapped answer to a bill number that was accepted.
type saved struct {
	AppDomainName        string          `json:"appDomainName"`
	Remarks              string          `json:"remarks"`
	ServiceCode          *string         `json:"serviceCode"`
	AccountCustomerName  string          `json:"accountCustomerName"`
	SystemConversationID string          `json:"systemConversationId"`
	LastKnownBalance     json.RawMessage `json:"lastKnownBalance"`
	DueDate              *string         `json:"dueDate"`
	Verified             bool            `json:"verified"`
	Timestamp            string          `json:"timestamp"`
}

// postBillNumber saves a bill number and answers what is owed and when.
// Saving it again is harmless.
func (s *Sandbox) postBillNumber(w http.ResponseWriter, r *http.Request) {
	if !isJSON(r) {
		problem(w, http.StatusUnsupportedMediaType, "Unsupported Media Type", nil)
		return
	}
	var in billNumber
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		problem(w, http.StatusBadRequest, validationTitle, map[string][]string{"$": {"The JSON value could not be converted."}})
		return
	}
	wrong := make(map[string][]string)
	if in.ServiceID == "" {
		wrong["ServiceId"] = []string{"The ServiceId field is required."}
	}
	if in.AccountNumber == "" {
		wrong["AccountNumber"] = []string{"The AccountNumber field is required."}
	}
	if in.PhoneNumber != "" && !msisdn.MatchString(in.PhoneNumber) {
		wrong["PhoneNumber"] = []string{"The PhoneNumber field is not a valid phone number."}
	}
	if len(wrong) > 0 {
		problem(w, http.StatusBadRequest, validationTitle, wrong)
		return
	}
	b, no, err := s.change(billKey{string(in.ServiceID), in.AccountNumber}, func(b *bill) {
		b.Registered, b.Phone, b.Description, b.RemindMe = true, in.PhoneNumber, in.TransactionDesc, in.RemindMeDueDate
	})
	switch {
	case err != nil:
		s.log.ErrorContext(r.Context(), "a bill number was not saved", "error", err)
		problem(w, http.StatusInternalServerError, "An error occurred while processing your request.", nil)
	case no != nil:
		s.refuse(w, no)
	default:
		writeJSON(w, http.StatusOK, map[string]saved{"message": {
			AppDomainName:        appDomain,
			Remarks:              "Bill Number submission accepted",
			AccountCustomerName:  b.Customer,
			SystemConversationID: s.conversation(&b),
			LastKnownBalance:     number(&b),
			DueDate:              dueDate(&b),
			Verified:             true,
			Timestamp:            s.now().UTC().Format(sevenths),
		}})
	}
}

// getBillNumber answers the saved bill number, flat, with its own spelling and
// its own form of date (docs, Get a Bill Number; the balance field is open).
func (s *Sandbox) getBillNumber(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b, ok := s.lookup(billKey{q.Get("serviceId"), q.Get("accountNumber")})
	if !ok || !b.Registered {
		s.refuse(w, &refusal{http.StatusNotFound, "Bill number not found."})
		return
	}
	due := dueDate(&b)
	if !b.DueDate.IsZero() {
		*due += " 00:00"
	}
	writeJSON(w, http.StatusOK, struct {
		ServiceID        string          `json:"serviceID"`
		CustomerName     string          `json:"customerName"`
		AccountNumber    string          `json:"accountNumber"`
		PhoneNumber      string          `json:"phoneNumber"`
		Enabled          bool            `json:"enabled"`
		Verified         bool            `json:"verified"`
		DueDate          *string         `json:"dueDate"`
		LastKnownBalance json.RawMessage `json:"lastKnownBalance"`
	}{b.Service, b.Customer, b.Account, b.Phone, true, true, due, number(&b)})
}

// getBillServices lists what can be watched (docs, Bill Services).
func (s *Sandbox) getBillServices(w http.ResponseWriter, _ *http.Request) {
	type line struct {
		ServiceID string `json:"serviceId"`
		Name      string `json:"serviceName"`
		Category  string `json:"category"`
		Type      string `json:"type"`
	}
	out := []line{}
	for _, v := range services() {
		out = append(out, line{v.id, v.name, v.category, v.kind})
	}
	writeJSON(w, http.StatusOK, out)
}

// dueDate is the day as written; one that is not known takes one of the forms
// the API's pages show for it, always the same one for the same account.
func dueDate(b *bill) *string {
	day := b.DueDate.String()
	if day == "" {
		switch hash(b.key()) % 3 {
		case 0:
			return nil
		case 1:
			day = "-1"
		}
	}
	return &day
}

// number is the balance as a JSON number, null when it is not known.
func number(b *bill) json.RawMessage {
	if b.Balance == nil {
		return json.RawMessage("null")
	}
	return json.RawMessage(b.Balance.String())
}

func (s *Sandbox) conversation(b *bill) string {
	return fmt.Sprintf("01100000-0017-0a00-%04x-%012x", hash(b.key())&0xffff, s.now().UnixNano()&0xffffffffffff)
}

// refuse answers the documented shape of a failure.
func (s *Sandbox) refuse(w http.ResponseWriter, no *refusal) {
	writeJSON(w, no.status, struct {
		AppDomainName string `json:"appDomainName"`
		Timestamp     string `json:"timestamp"`
		Reason        string `json:"reason"`
	}{appDomain, s.now().UTC().Format(sevenths), no.reason})
}

const validationTitle = "One or more validation errors occurred."

// problem answers an RFC 7231 problem, as ASP.NET writes it.
func problem(w http.ResponseWriter, status int, title string, wrong map[string][]string) {
	var trace [24]byte
	_, _ = rand.Read(trace[:])
	body, _ := json.Marshal(struct { // strings and numbers only: cannot fail
		Errors  map[string][]string `json:"errors,omitempty"`
		Type    string              `json:"type"`
		Title   string              `json:"title"`
		Status  int                 `json:"status"`
		TraceID string              `json:"traceId"`
	}{wrong, "https://tools.ietf.org/html/rfc7231#section-6.5.1", title, status, fmt.Sprintf("00-%x-%x-00", trace[:16], trace[16:])})
	w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}
