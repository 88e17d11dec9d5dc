// Package config reads the operator's settings: defaults in code, then the
// YAML file, then DUEWATCH_… environment variables, then secrets from systemd
// credentials. It promises that a Config it returns can be run without further
// checks. A faulty one is refused, with every fault reported at once: the line or
// variable, the key, the value and what to write instead. It never guesses, never
// prints a secret or a phone number, and never writes. It is the only user of koanf.
//
// # Where a value comes from
//
// The last of these that has it: the default, the file, the environment. A
// service overrides single keys of reminders:, and a list replaces the whole
// list of the default.
//
// A secret has up to three sources, of which the first that exists is used:
//
//  1. the file $CREDENTIALS_DIRECTORY/<name>, which systemd makes
//     (LoadCredential=, LoadCredentialEncrypted=);
//  2. the environment, as the secret itself or as the path of a file;
//  3. the config file, as the secret itself or as the path of a file.
//
// Both forms at once in one source are refused: one of them is outdated, and it is
// not known which. Empty means not given.
package config

import (
	"log/slog"
	"time"

	"duewatch/importer"
	"duewatch/reminder"
)

// Config is the checked configuration. Relative paths in it, and those of
// secret files, start at the working directory.
type Config struct {
	Zone     *time.Location
	Currency string // ISO 4217, as worded in texts
	Country  string // ISO 3166, two letters: of phone numbers without a country code
	// Store is the path of the SQLite file, or the address of a PostgreSQL database without
	// its password, as it may be printed.
	Store         string
	StorePassword Secret // of the role that Store names; "" = none, or it is a file

	// Phones reads every phone number that a person has written.
	Phones         *reminder.PhoneReader
	MobilePrefixes []string // that Phones knows beside the library's, such as "+254144"

	Almara    Almara
	Notifier  Notifier
	Delivery  reminder.Delivery
	Guards    reminder.Guards // also in every Policy
	Policies  reminder.Policies
	Schedule  Schedule
	Services  []Service
	Bills     []reminder.Bill // with what a list says of a bill, and nothing else
	billLines map[identity]int
	BillsFile string // path of a file of bills, "" for none
	// BillsColumns says which column of that file holds what, where its header does not.
	BillsColumns importer.ColumnChoice
	// MaxRemoved is the share of its bills that a declared list may lose at once, 0
	// to 1; 0 = any.
	MaxRemoved float64
	Web        Web
	Log        Log
	Alerts     Alerts
	Retention  time.Duration // how long history is kept
	Words      time.Duration // how long the words of texts are kept

	// wording is a hash of all template sources, for Fingerprint: compiled
	// templates cannot be compared.
	wording string

	settings      map[string][]Setting    // by service, for Settings
	holidays      map[string]*HolidayList // by service, for Holidays
	holidaysAbout reminder.Date           // the day that their window is about
}

// Almara is how to reach Almara Pay.
type Almara struct {
	BaseURL       string // without a slash at its end
	TokenPath     string
	TokenEncoding string // json or form, as in package almara
	Scope         string
	ClientID      string
	ClientSecret  Secret
	RecheckWith   string // register or lookup, as in package almara
	SharePhone    bool   // Almara Pay gets the customer's phone
	Timeout       time.Duration
	Rate          float64 // requests a second
	Concurrency   int
}

// Notifier is how texts are handed to the provider.
type Notifier struct {
	Provider          string // twilio, the only one
	Timeout           time.Duration
	SegmentsPerSecond float64
	Concurrency       int
	MaxSegments       int             // of one text; also in every Policy
	PricePerSegment   *reminder.Money // in Currency, nil = not known
	ReconcileAfter    []time.Duration // ascending, counted from the attempt
	Unknown           string          // UnknownResend or UnknownHold
	Twilio            Twilio
}

// What to do with a text that the provider's list does not have after the last
// delay of ReconcileAfter.
const (
	UnknownResend = "resend" // once
	UnknownHold   = "hold"
)

// Twilio is the account that texts are sent from. It holds an AuthToken or an
// API key, and both only with a Web.PublicURL: then calls are made with the key, and
// callbacks checked with the token. It holds From or MessagingServiceSID, never both.
type Twilio struct {
	AccountSID          string
	AuthToken           Secret
	APIKeySID           string
	APIKeySecret        Secret
	From                string // E.164, short code or alphanumeric sender
	MessagingServiceSID string
	BaseURL             string // "" = Twilio's own
}

// Schedule holds the cron expression of each job.
type Schedule struct {
	Register     string
	Recheck      string
	Remind       string
	Receipts     string
	Housekeeping string
}

// Service is a biller at Almara Pay that has a name, and maybe a policy, of
// its own.
type Service struct {
	ID   string // as written: 0042 stays 0042
	Name string
	Pay  string // how customers pay it, as texts say it; "" = they do not
}

// Web is the status server.
type Web struct {
	Listen string // host:port
	Token  Secret // always set when Listen is not a loopback address
	// PublicURL is where the provider reaches CallbacksListen, without a slash at its end;
	// "" = it does not, and nothing listens there.
	PublicURL       string
	CallbacksListen string // host:port
}

// Log is how to log.
type Log struct {
	Level  slog.Level
	Format string // LogText or LogJSON
}

// The formats of the log.
const (
	LogText = "text"
	LogJSON = "json"
)
