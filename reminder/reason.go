package reminder

// Reason says why a reminder was sent, held or skipped. The list is closed:
// the same words stand in the store, the log, the metrics and the docs.
type Reason string

// Why a reminder was texted.
const (
	OnSchedule Reason = "on_schedule"
	CatchUp    Reason = "catch_up"
	Bundled    Reason = "bundled"
	MayHaveIt  Reason = "may_have_it"
)

// Why a reminder was skipped, for good.
const (
	Paid          Reason = "paid"
	InCredit      Reason = "in_credit"
	BelowMinimum  Reason = "below_minimum"
	Superseded    Reason = "superseded"
	Expired       Reason = "expired"
	OptedOut      Reason = "opted_out"
	BadNumber     Reason = "bad_number"
	TextRefused   Reason = "text_refused"
	StaleSkipped  Reason = "balance_not_known"
	SentElsewhere Reason = "sent_elsewhere"
	DateMoved     Reason = "date_moved"
)

// Why a reminder is held, to be decided again.
const (
	ModeIsOff           Reason = "mode_off"
	NotOnAllowlist      Reason = "not_on_allowlist"
	OutsideWindow       Reason = "outside_window"
	LaterToday          Reason = "later_today"
	BalanceStale        Reason = "balance_stale"
	PhoneDailyCap       Reason = "daily_cap"
	SameWords           Reason = "same_words"
	LaterSent           Reason = "later_sent"
	TryApart            Reason = "try_apart"
	TooLong             Reason = "too_long"
	TemplateFails       Reason = "template_fails"
	Throttled           Reason = "throttled"
	ProviderUnreachable Reason = "provider_unreachable"
	AccountFault        Reason = "account_fault"
	RefusalUnclear      Reason = "refusal_unclear"
	ShuttingDown        Reason = "shutting_down"
	NotHandedOver       Reason = "not_handed_over"
	ChangedMeanwhile    Reason = "changed_meanwhile"
	NotAtProvider       Reason = "not_at_provider"
	InDoubt             Reason = "in_doubt"
	NotDelivered        Reason = "not_delivered"
	DestinationRefused  Reason = "destination_refused"
	Released            Reason = "released"
	ClockSetBack        Reason = "clock_set_back"
)

// Guards and stops: why a reminder is held until the operator releases it, or
// the limit is a new one.
const (
	DailyLimit         Reason = "daily_limit"
	Surge              Reason = "surge"
	MonthlyBudget      Reason = "monthly_budget"
	FailureRate        Reason = "failure_rate"
	ImplausibleBalance Reason = "implausible_balance"
	CopiedStore        Reason = "copied_store"
	StoreWentBack      Reason = "store_went_back"
	SenderChanged      Reason = "sender_changed"
	MassRejected       Reason = "mass_rejected"
	ClockUnsure        Reason = "clock"
)

// Warnings: what an operator must know of although texts go on.
const (
	ListShrank        Reason = "list_shrank"
	MassPaid          Reason = "mass_paid"
	UnreadableAnswers Reason = "unreadable_answers"
	NobodyAnswered    Reason = "nobody_answered"
)

// ReasonInfo explains one reason to an operator.
type ReasonInfo struct {
	Reason  Reason
	Outcome Outcome // of a reminder; "" = it is a warning
	Means   string  // a sentence that follows the outcome: "skipped: nothing is owed"
}

// Reasons is the closed list, in the order of the docs.
var Reasons = []ReasonInfo{
	{OnSchedule, Texted, "sent at its planned hour"},
	{CatchUp, Texted, "late: at its hour the bill was new, it was held, or duewatch was down"},
	{Bundled, Texted, "ahead of its hour, in the text of another bill of the phone"},

	{MayHaveIt, Texted, "it failed at the network, which cannot say whether the phone has it: it is not sent again"},

	{Paid, Skipped, "nothing is owed"},
	{InCredit, Skipped, "the account is in credit"},
	{BelowMinimum, Skipped, "less is owed than reminders.min_balance"},
	{Superseded, Skipped, "a later stage took its place"},
	{Expired, Skipped, "it could not be sent while it was still useful"},
	{OptedOut, Skipped, "the customer does not want texts"},
	{BadNumber, Skipped, "the provider says that the number cannot be texted"},
	{TextRefused, Skipped, "the provider refused this text"},
	{StaleSkipped, Skipped, "Almara Pay could not say what is owed, and reminders.stale_balance is skip"},

	{SentElsewhere, Skipped, "the provider has a text for it that this store does not know: the store is a copy, or was restored"},

	{DateMoved, Skipped, "the due date had moved by some days, and a text of that day or the day before named the other date; " +
		"the due day's text is sent"},

	{ModeIsOff, Held, "notifier.mode is off"},
	{NotOnAllowlist, Held, "notifier.mode is allowlist and the phone is not on the list"},
	{OutsideWindow, Held, "the window was closed, or texts are not sent on this day"},
	{LaterToday, Held, "the next stage is due later on the same day, and says the same"},
	{LaterSent, Held, "the next stage went ahead of its hour, in the text of another bill: the customer knows"},
	{BalanceStale, Held, "Almara Pay could not say what is owed; it is asked again"},
	{PhoneDailyCap, Held, "the phone has had its reminders.per_number_daily texts today"},
	{SameWords, Held, "the phone has just had a text of the very same words, of another bill: name .Service in reminders.templates"},
	{TooLong, Held, "the text is longer than notifier.max_segments, even without the customer's name"},
	{TemplateFails, Held, "the template could not be rendered for this bill"},
	{Throttled, Held, "the provider asked to slow down; it did not take the text"},
	{ProviderUnreachable, Held, "the provider could not be reached; no byte of the text was sent"},
	{AccountFault, Held, "sending is stopped: the provider refuses the whole account, or its sender"},
	{DestinationRefused, Held, "the provider refuses this phone or its country; it is tried again, each time later"},
	{RefusalUnclear, Held, "the provider refused it with a code that duewatch does not know; it is tried again later"},
	{TryApart, Held, "the provider refused the text that it shared with other bills: each is tried in one of its own"},
	{ShuttingDown, Held, "duewatch was stopping; the text had not been handed over"},
	{NotHandedOver, Held, "its text had waited too long for its turn, or a fault that the log names came first; it is decided anew"},
	{ChangedMeanwhile, Held, "a payment, an opt-out, a pause or an edit came between the decision and the call; it is decided anew"},
	{NotAtProvider, Held, "the answer of the provider was lost, and it does not have the text: it is sent once more"},
	{InDoubt, Held, "nobody can tell whether its text was sent; duewatch release lets it be sent"},
	{NotDelivered, Held, "the text could not be delivered for now: it is tried again"},
	{Released, Held, "the operator let it go; it is decided again at once"},
	{ClockSetBack, Held, "it had ended while the clock was ahead, and may be useful yet; it is decided again"},

	{DailyLimit, Held, "guards.max_texts_per_day was reached"},
	{Surge, Held, "far more texts than on a usual day: guards.surge"},
	{MonthlyBudget, Held, "guards.monthly_segments was reached"},
	{FailureRate, Held, "too many of the last texts came to nothing: guards.max_failure_rate"},
	{ImplausibleBalance, Held, "the balance is far higher than ever before: guards.implausible_balance"},
	{MassPaid, Held, "nothing is owed, like for very many bills at once, which may be a fault of the biller's feed: it is asked again"},
	{CopiedStore, Held, "sending is stopped: the provider has sent texts that this store does not know"},
	{StoreWentBack, Held, "sending is stopped: the database has lost commits that it had confirmed"},
	{SenderChanged, Held, "sending is stopped: the account, sender or mode is not the one this store belongs to"},
	{MassRejected, Held, "sending is stopped: Almara Pay rejected many bills within a day that it had accepted"},
	{ClockUnsure, Held, "sending is stopped: nobody vouches for the clock of this machine, or it was set while the text waited"},
}

// Warnings is the closed list of what is no reason of a reminder: texts go on.
var Warnings = []ReasonInfo{
	{ListShrank, "", "a declared list lost many of its bills at once: the old list stays until the operator agrees to it"},
	{MassPaid, "", "far more bills than usual turned from owing to nothing within an hour: the biller's feed may be at fault"},
	{UnreadableAnswers, "", "a share of Almara Pay's last answers could not be read: the biller may have changed their form"},
	{NobodyAnswered, "", "Almara Pay refuses one bill after the other in a form that is not known, and answers none well: " +
		"almara.base_url may be wrong"},
}

// Info explains r; an unknown reason is explained by its own name.
func (r Reason) Info() ReasonInfo {
	for _, list := range [...][]ReasonInfo{Reasons, Warnings} {
		for _, i := range list {
			if i.Reason == r {
				return i
			}
		}
	}
	return ReasonInfo{Reason: r, Means: string(r)}
}
