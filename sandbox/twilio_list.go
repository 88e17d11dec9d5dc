package sandbox

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

// page is a page of Message resources. The URIs are relative to the host.
type page struct {
	FirstPageURI    string    `json:"first_page_uri"`
	End             int       `json:"end"`
	PreviousPageURI *string   `json:"previous_page_uri"`
	Messages        []message `json:"messages"`
	URI             string    `json:"uri"`
	PageSize        int       `json:"page_size"`
	Start           int       `json:"start"`
	NextPageURI     *string   `json:"next_page_uri"`
	Page            int       `json:"page"`
}

// getMessages lists texts, newest first, by To, From and DateSent. The next
// page begins after the text its token names, so that new texts shift nothing;
// Page alone counts from the newest.
func (s *Sandbox) getMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size := defaultPageSize
	if v := q.Get("PageSize"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			twilioError(w, http.StatusBadRequest, 20001, "PageSize must be a number from 1 to 1000")
			return
		}
		size = min(n, maxPageSize)
	}
	number, err := strconv.Atoi(q.Get("Page"))
	if q.Get("Page") != "" && (err != nil || number < 0) {
		twilioError(w, http.StatusBadRequest, 20001, "Page must be a number from 0")
		return
	}
	sent, ok := readSentFilter(q)
	if !ok {
		twilioError(w, http.StatusBadRequest, 20001, "DateSent must be YYYY-MM-DD")
		return
	}

	s.mu.Lock()
	all := s.texts.all()
	if to := q.Get("To"); to != "" {
		all = s.texts.sentTo(to)
	}
	s.mu.Unlock()

	skip := number * size
	if token := q.Get("PageToken"); token != "" {
		last, ok := numberOf(strings.TrimPrefix(token, "PA"))
		if !ok {
			twilioError(w, http.StatusBadRequest, 20001, "PageToken is invalid")
			return
		}
		older, _ := slices.BinarySearchFunc(all, last, func(t *text, last uint64) int {
			n, _ := numberOf(t.SID)
			return cmp.Compare(n, last)
		})
		all, skip = all[:older], 0
	}

	now := s.now()
	from := q.Get("From")
	uri := func(number int, token string) string {
		v := url.Values{}
		for _, key := range []string{"To", "From", "DateSent", "DateSent<", "DateSent>"} {
			if q.Has(key) {
				v.Set(key, q.Get(key))
			}
		}
		v.Set("PageSize", strconv.Itoa(size))
		v.Set("Page", strconv.Itoa(number))
		if token != "" {
			v.Set("PageToken", token)
		}
		return messagesPath + ".json?" + v.Encode()
	}
	p := page{
		FirstPageURI: uri(0, ""), URI: uri(number, q.Get("PageToken")), Page: number, PageSize: size,
		Start: number * size, Messages: []message{},
	}
	for _, t := range slices.Backward(all) {
		if (from != "" && from != t.From) || !sent.matches(s.stateOf(t, now).sent) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(p.Messages) == size {
			p.NextPageURI = new(uri(number+1, "PA"+p.Messages[size-1].SID))
			break
		}
		p.Messages = append(p.Messages, s.message(t, now))
	}
	p.End = p.Start + max(len(p.Messages)-1, 0)
	if number > 0 {
		p.PreviousPageURI = new(uri(number-1, ""))
	}
	writeJSON(w, http.StatusOK, p)
}

// sentFilter is DateSent, DateSent< and DateSent>: half-open in time. A text
// that has not been sent matches no filter at all.
type sentFilter struct {
	set      bool
	from, to time.Time // zero = open
}

// readSentFilter reads days in GMT, inclusive on both sides ("DateSent<=2026-05-31"
// includes the 31st), and instants as twilio-go sends them.
func readSentFilter(q url.Values) (f sentFilter, ok bool) {
	for _, key := range []string{"DateSent", "DateSent<", "DateSent>"} {
		v := q.Get(key)
		if v == "" {
			continue
		}
		begin, err := time.Parse(time.DateOnly, v)
		end := begin.AddDate(0, 0, 1)
		if err != nil {
			if begin, err = time.Parse(time.RFC3339, v); err != nil {
				return f, false
			}
			end = begin.Add(time.Second)
			if key == "DateSent" { // an instant still means its day
				begin = begin.UTC().Truncate(24 * time.Hour)
				end = begin.AddDate(0, 0, 1)
			}
		}
		f.set = true
		if key != "DateSent<" && begin.After(f.from) {
			f.from = begin
		}
		if key != "DateSent>" && (f.to.IsZero() || end.Before(f.to)) {
			f.to = end
		}
	}
	return f, true
}

func (f sentFilter) matches(sent time.Time) bool {
	if !f.set {
		return true
	}
	return !sent.IsZero() &&
		(f.from.IsZero() || !sent.Before(f.from)) &&
		(f.to.IsZero() || sent.Before(f.to))
}
