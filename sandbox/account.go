package sandbox

import "net/http"

// NumberNotOwned is the one number that the account has not got: Twilio's own
// magic number for that (Test credentials). Every other number is its own.
const NumberNotOwned = "+15005550007"

// getAccount answers the account itself (Account resource, API version
// 2010-04-01).
func (s *Sandbox) getAccount(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{
		"sid": AccountSID, "owner_account_sid": AccountSID, "friendly_name": "duewatch sandbox", "status": "active", "type": "Full",
		"uri": "/2010-04-01/Accounts/" + AccountSID + ".json",
	})
}

// getNumbers answers which numbers of the account are the one that is asked for
// (IncomingPhoneNumber resource, filter PhoneNumber).
func (s *Sandbox) getNumbers(w http.ResponseWriter, r *http.Request) {
	type number struct {
		PhoneNumber  string          `json:"phone_number"`
		Capabilities map[string]bool `json:"capabilities"`
	}
	found := []number{}
	if asked := r.URL.Query().Get("PhoneNumber"); e164.MatchString(asked) && asked != NumberNotOwned {
		found = append(found, number{asked, map[string]bool{"sms": true, "voice": true}})
	}
	writeJSON(w, http.StatusOK, map[string]any{"incoming_phone_numbers": found, "page": 0, "page_size": 50})
}
