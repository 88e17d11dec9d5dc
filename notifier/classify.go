package notifier

import (
	"maps"
	"net/http"
	"slices"
)

// Class is the reason why Twilio refused a text, turned it away, or could not
// deliver it after it was accepted, sorted by what has to be done about it.
type Class string

// The classes.
const (
	BadNumber     Class = "bad_number"      // stop texting this number
	OptedOut      Class = "opted_out"       // record the opt-out
	BadText       Class = "bad_text"        // this text cannot be sent; another one might
	Account       Class = "account"         // stop everything and alert the operator: every text would fail
	Destination   Class = "destination"     // this phone, its country, or the sender: several different phones show which
	SlowDown      Class = "slow_down"       // pause, then go on
	SlowDownPhone Class = "slow_down_phone" // the same, for this phone only
	UntilTomorrow Class = "until_tomorrow"  // the daily limit of the account: go on tomorrow
	TryLater      Class = "try_later"       // try again later, as a new text, a few times
	TryOnce       Class = "try_once"        // the same, but once
	MaybeHasIt    Class = "maybe_has_it"    // the phone may have the text: never send it again
	// Unlisted is a definite no with a code that is not in our table. To skip the
	// reminder would be wrong if the code is about the sender: every reminder would
	// be skipped, one by one. To stop all texts would be wrong if it is about one
	// number. So hold the reminder, show the code to the operator and try again
	// later; several different phones in a row are evidence against the account.
	Unlisted Class = "unlisted"
)

// code is an error code of Twilio's, in our terms.
type code struct {
	class Class
	words string // for the operator
}

// codes says what Twilio's error codes mean to us, both in the answer to a create
// request and on a message later: a code that occurs in both places means the same.
// Source: Twilio's Error and Warning Dictionary. The words are ours, since Twilio's
// repeat the phone number.
var codes = map[int]code{
	// On creating a message.
	21211: {BadNumber, "the number is not valid"},
	21214: {BadNumber, "the number cannot be reached"},
	21217: {BadNumber, "the number does not seem to be valid"},
	21604: {BadNumber, "there is no number to text"},
	21614: {BadNumber, "the number is not a mobile number"},
	21635: {BadNumber, "the number is a landline"},

	21610: {OptedOut, "the customer has opted out"},

	21602: {BadText, "the text is empty"},
	21617: {BadText, "the text is too long"},
	21618: {BadText, "the text cannot be sent"},
	21620: {BadText, "the text's media cannot be sent"},

	// About the account, or about the sender at every destination: the next text
	// would be refused too, whomever it is for.
	10001: {Account, "the account is not active"},
	20003: {Account, "the credentials are wrong"},
	20005: {Account, "the account is not active"},
	20404: {Account, "there is no such account"},
	21212: {Account, "the sender is not valid"},
	21601: {Account, "the sender cannot send texts"},
	21603: {Account, "there is no sender"},
	21607: {Account, "a trial account must use its trial number as sender"},
	21701: {Account, "there is no such messaging service"},
	21704: {Account, "the messaging service has no senders"},
	21705: {Account, "the messaging service is not valid"},

	21408: {Destination, "the account may not text that country"},
	21606: {Destination, "the sender cannot text that destination"},
	21608: {Destination, "a trial account may text verified numbers only"},
	21612: {Destination, "the sender cannot reach that destination"},
	21657: {Destination, "the sender is not supported or not registered at that destination"},
	21659: {Destination, "the sender is not one of Twilio's, or is for another country"},
	21703: {Destination, "the messaging service has no sender for that destination"},

	20429: {SlowDown, "too many requests"},
	21611: {SlowDown, "the sender's queue is full"},
	14107: {SlowDownPhone, "too many texts between two numbers"},
	63017: {SlowDown, "the account sends too fast"},
	63038: {UntilTomorrow, "the account has reached its daily limit"},

	// On the message, after it was accepted.
	30005: {BadNumber, "the number is not known or not in service"},
	30006: {BadNumber, "the number is a landline, or its network cannot be reached"},

	30007: {BadText, "the text was filtered as unwanted"}, // many of these raise an alarm
	30019: {BadText, "the text is too long for the network"},

	30002: {Account, "the account is suspended"},
	30044: {Account, "the account may not send a text like this"},

	30018: {Destination, "the sender is not registered at that destination"},
	30032: {Destination, "the sender is not verified"},
	30034: {Destination, "the sender is not registered"},

	30001: {SlowDown, "the queue is full"},
	30022: {SlowDown, "the sender sends too fast"},
	30023: {SlowDown, "the sender has reached its daily limit"},

	30003: {TryLater, "the phone could not be reached: off, or without network"},
	30036: {TryLater, "it could not be sent while it was valid"},
	30450: {TryLater, "the delivery was blocked"},
	30500: {TryLater, "the delivery failed at the provider"},
	30004: {TryOnce, "the phone or its network blocks the text"},

	30008: {MaybeHasIt, "it failed for a reason that the network does not name, so the phone may have it"},
	30410: {MaybeHasIt, "the network did not answer in time, so the phone may have it"},
}

// Codes are the error codes of Twilio's that are in our table, in ascending order.
func Codes() []int { return slices.Sorted(maps.Keys(codes)) }

// ClassOf is the class of an error code of Twilio's: Unlisted when it is not in the
// table, "" for 0.
func ClassOf(code int) Class {
	if code == 0 {
		return ""
	}
	if c, ok := codes[code]; ok {
		return c.class
	}
	return Unlisted
}

// Describe explains an error code of Twilio's to an operator; "" for 0.
func Describe(code int) string {
	if code == 0 {
		return ""
	}
	if c, ok := codes[code]; ok {
		return c.words
	}
	return "a reason that duewatch does not know"
}

// Advice says what an operator can do about a destination that Twilio refuses; "" for
// codes of another class.
func Advice(code int) string {
	switch {
	case ClassOf(code) != Destination:
		return ""
	case code == 21408:
		return "allow the country under Messaging, Geo permissions, in Twilio's console"
	case code == 21608:
		return "verify the number in Twilio's console, or leave the trial"
	case code == 21703:
		return "add a sender for that country to the messaging service"
	default:
		return "register the sender for that country at Twilio, or choose another one in notifier.twilio"
	}
}

// classify says what an answer to a create request means that is not a 2xx. The code
// is 0 when the answer has no error code of Twilio's. Such an answer may come from a
// proxy on the way, and proves nothing about what Twilio did, except where the
// status itself says that the request was not carried out.
func classify(status, code int) (Acceptance, Class) {
	class := ClassOf(code)
	switch {
	case status == http.StatusTooManyRequests && (class == UntilTomorrow || class == SlowDownPhone):
		return Throttled, class
	case status == http.StatusTooManyRequests:
		return Throttled, SlowDown
	case status == http.StatusUnauthorized: // "has not been applied": RFC 9110, section 15.5.2
		return Refused, Account
	case status == http.StatusRequestTimeout, status < 400, status > 499:
		return Unknown, ""
	case code == 0 && status == http.StatusForbidden:
		// A firewall on the way answered. It may have let the request through and
		// blocked only the answer, so this text is unknown. Whether it blocks every
		// text, the answers for several different phones show.
		return Unknown, Destination
	case code == 0:
		return Unknown, ""
	case class == Unlisted && status == http.StatusForbidden:
		return Refused, Destination
	case class == SlowDown, class == SlowDownPhone, class == UntilTomorrow:
		return Throttled, class
	default:
		return Refused, class
	}
}

// explain says what an answer to a create request means, for Result.Err.
func explain(o Acceptance, code int) string {
	words := map[Acceptance]string{
		Refused:   "refused",
		Throttled: "turned away, slow down",
		Unknown:   "not known what became of the text",
	}[o]
	if code != 0 {
		words += ": " + Describe(code)
	}
	return words
}
