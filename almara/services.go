package almara

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"duewatch/reminder"
)

// Service is a biller whose bills can be watched.
type Service struct {
	ID       string // opaque, as Almara Pay writes it
	Name     string // "" = not said, as with the two below
	Category string // such as ELECTRICITY
	Type     string // such as KPLC POSTPAID
}

// ServiceList is what Almara Pay offers.
type ServiceList struct {
	Services []Service // one or more, each id once, in the order of the answer
	// Missing says why some may be missing here, one line each; empty when none is.
	Missing []string
}

// Services lists the services that Almara Pay offers to this client (API reference,
// Bill Services). The form of the list is not documented: it is read where it can be
// understood in one way only. Errors: see the package comment.
func (c *Client) Services(ctx context.Context) (ServiceList, error) {
	const op = "services"
	var list ServiceList
	_, err := c.ask(ctx, op, request{method: http.MethodGet, url: c.billServices}, "", func(r reply, hide redactor) (err error) {
		list, err = decodeServices(op, r, hide)
		return err
	})
	if err != nil && outcomeOf(err) == "" {
		err = fmt.Errorf("almara pay: %s: %w", op, err)
	}
	return list, err
}

func decodeServices(op string, r reply, hide redactor) (ServiceList, error) {
	if err := r.clearFailure(op, hide); err != nil {
		return ServiceList{}, err
	}
	if r.status >= 400 {
		return ServiceList{}, &UnclearError{Reason: r.refusalText(hide), services: true}
	}
	unusable := func(why string) (ServiceList, error) {
		return ServiceList{}, &RetryError{Err: fmt.Errorf("%s: %s: %s", op, why, r.describe(hide))}
	}
	if !r.isJSON() {
		return unusable("the answer is not JSON")
	}
	top, err := parseServices(trimBOM(r.body))
	switch {
	case err != nil:
		return unusable(err.Error())
	case top.reason != "":
		return ServiceList{}, &UnclearError{Reason: hide.clean(top.reason, maxReason), services: true}
	case len(top.entries) == 0:
		return ServiceList{}, &UnclearError{Reason: "it is empty, so this client may use none", services: true}
	}
	list := readServices(top.entries)
	for i, why := range list.Missing {
		list.Missing[i] = hide.clean(why, maxReason)
	}
	if len(list.Services) == 0 {
		return unusable(strings.Join(list.Missing, "; "))
	}
	if top.morePages(len(top.entries)) || strings.Contains(r.header.Get("Link"), `rel="next"`) {
		list.Missing = append(list.Missing, "the answer is one page of several, and only that page is read")
	}
	return list, nil
}

// servicesAnswer is the answer as it is written.
type servicesAnswer struct {
	entries []json.RawMessage
	reason  string   // what it says of a failure
	around  []object // the objects in which the list stands
}

// object is a JSON object with all values of each key. Keys are in small letters,
// without signs: TotalPages, totalPages and total_pages are one.
type object map[string]field

// listKeys are the keys behind which a list, or an object with the list in it, may
// stand.
var listKeys = []string{
	"message", "data", "result", "results", "items", "content", "services", "billservices",
}

// parseServices finds the one list in an answer.
func parseServices(text []byte) (a servicesAnswer, err error) {
	for range 3 { // more objects around a list than in any answer that is known
		text = bytes.TrimSpace(text)
		if bytes.HasPrefix(text, []byte("[")) {
			if json.Unmarshal(text, &a.entries) != nil {
				return a, errNoList
			}
			return a, nil
		}
		o, err := parseKeys(text)
		if err != nil {
			return a, err
		}
		a.around = append(a.around, o)
		if a.reason = o["reason"].words(); a.reason != "" {
			return a, nil
		}
		if o["errors"].saysSomething() {
			return a, errors.New("the answer gives errors: " + written(o["errors"].raw()))
		}
		var lists field
		for _, key := range listKeys {
			for _, value := range o[key] {
				if value[0] == '[' || value[0] == '{' {
					lists = append(lists, value)
				}
			}
		}
		switch len(lists) {
		case 0:
			return a, errNoList
		case 1:
			text = lists[0]
		default:
			return a, errors.New("the answer has several lists, and does not say which is that of the services")
		}
	}
	return a, errNoList
}

var errNoList = errors.New("the answer has no list of services in a known form")

// parseKeys reads an object.
func parseKeys(text []byte) (object, error) {
	if !bytes.HasPrefix(text, []byte("{")) || !json.Valid(text) {
		return nil, errNoList
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, errNoList
	}
	o := object{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errNoList
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNoList
		}
		name, _ := key.(string) // a key is nothing else
		name = strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
		values := o[name]
		_ = values.UnmarshalJSON(value) // adds it, and never fails
		o[name] = values
	}
	return o, nil
}

// morePages reports whether anything around the list says that it goes on elsewhere.
// An id that is not on the first page would pass for one that is not offered.
func (a servicesAnswer) morePages(entries int) bool {
	return slices.ContainsFunc(a.around, func(o object) bool { return o.morePages(entries, 2) })
}

func (o object) morePages(entries, depth int) bool {
	for _, key := range []string{
		"next", "nextpage", "nextpageuri", "nextpageurl", "nextlink", "nextcursor", "nexttoken", "hasnext", "hasnextpage", "hasmore",
	} {
		if o[key].saysSomething() {
			return true
		}
	}
	for key, least := range map[string]int{
		"totalpages": 2, "pagecount": 2, "pages": 2, "lastpage": 2,
		"total": entries + 1, "totalcount": entries + 1, "totalitems": entries + 1, "totalelements": entries + 1, "totalrecords": entries + 1,
	} {
		if n, err := strconv.Atoi(strings.Trim(string(o[key].raw()), `"`)); err == nil && n >= least {
			return true
		}
	}
	for _, values := range o { // such as meta, links, pagination
		for _, value := range values {
			if inner, err := parseKeys(value); err == nil && depth > 0 && inner.morePages(entries, depth-1) {
				return true
			}
		}
	}
	return false
}

// readServices reads the entries. One that cannot be read hides no other.
func readServices(entries []json.RawMessage) (list ServiceList) {
	first := map[string]Service{}
	unread, example := 0, ""
	for i, entry := range entries {
		s, fault := readService(entry)
		known, twice := first[s.ID]
		switch {
		case fault != "":
		case !twice:
			first[s.ID] = s
			list.Services = append(list.Services, s)
		case known != s:
			fault = fmt.Sprintf("service %s is there already, with another name, category or type", s.ID)
		}
		if fault != "" {
			if unread++; unread == 1 {
				example = fmt.Sprintf("entry %d: %s", i+1, fault)
			}
		}
	}
	if unread > 0 {
		list.Missing = append(list.Missing, fmt.Sprintf("%d of %d entries cannot be read, such as %s", unread, len(entries), example))
	}
	return list
}

var wholeNumber = regexp.MustCompile(`^[0-9]+$`)

// maxServiceID is the longest id that the config takes, in characters.
const maxServiceID = 100

func readService(entry json.RawMessage) (s Service, fault string) {
	o, err := parseKeys(entry)
	if err != nil {
		return s, "it is no JSON object: " + written(entry)
	}
	// An entry may have a number of its own as well, as id.
	ids := o["serviceid"]
	if len(ids) == 0 {
		ids = o["id"]
	}
	raw := ids.raw()
	if s.ID = text(raw); wholeNumber.Match(raw) {
		s.ID = string(raw) // as written: no digit is lost
	}
	one, other, differ := ids.contradiction(written)
	switch {
	case differ:
		return s, givenTwice("the id", one, other)
	case isNull(raw):
		return s, "it has no id"
	case s.ID == "", oneLine(s.ID) != s.ID, utf8.RuneCountInString(s.ID) > maxServiceID, reminder.MeansNotKnown(s.ID):
		return s, "its id is neither a text of one line nor a whole number: " + written(raw)
	}
	s.Name = nameOf(o["servicename"].raw())
	if s.Name == "" {
		s.Name = nameOf(o["name"].raw())
	}
	s.Category, s.Type = nameOf(o["category"].raw()), nameOf(o["type"].raw())
	return s, ""
}
