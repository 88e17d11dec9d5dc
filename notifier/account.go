package notifier

import (
	"context"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"duewatch/reminder"
)

// AccountInfo is what Twilio says about the account (Account resource).
type AccountInfo struct {
	Active bool   // else it is suspended or closed
	Trial  bool   // a trial account can text verified numbers only
	Status string // as Twilio calls it: active, suspended, closed
}

// Account asks Twilio for the account itself (Account resource, Fetch an Account):
// the one request that checks the credentials and has no effect. An error is always
// a *Error that matches [ErrStop] or [ErrRetry].
func (n *Notifier) Account(ctx context.Context) (AccountInfo, error) {
	var info AccountInfo
	err := n.ask(ctx, "account", func(c *call) error {
		account, err := c.service().FetchAccount(n.accountSID)
		switch {
		case err != nil:
			return c.failed("account", err)
		case value(account.Sid) != n.accountSID:
			return &Error{Op: "account", HTTPStatus: c.status, words: "the answer is about another account", kind: ErrRetry}
		}
		info = AccountInfo{Active: value(account.Status) == "active", Trial: value(account.Type) == "Trial", Status: value(account.Status)}
		return nil
	})
	return info, err
}

// Owns reports whether a number belongs to the account, and whether it can send
// texts (IncomingPhoneNumber resource). Errors are those of Account.
func (n *Notifier) Owns(ctx context.Context, number reminder.Phone) (found, texts bool, err error) {
	err = n.ask(ctx, "numbers", func(c *call) error {
		params := new(api.ListIncomingPhoneNumberParams).SetPhoneNumber(number.E164()).SetPageSize(pageOfOne)
		answer, err := c.service().PageIncomingPhoneNumber(params, "", "")
		switch {
		case err != nil:
			return c.failed("numbers", err)
		case answer.IncomingPhoneNumbers == nil:
			return &Error{Op: "numbers", HTTPStatus: c.status, words: "the answer holds no list of numbers", kind: ErrRetry}
		}
		for _, have := range answer.IncomingPhoneNumbers {
			if value(have.PhoneNumber) == number.E164() {
				found, texts = true, have.Capabilities != nil && have.Capabilities.Sms
			}
		}
		return nil
	})
	return found, texts, err
}

// Connect opens a connection for the next text, by a request that changes nothing: to
// open one may take longer than Message.WriteBy allows. It returns an error only when
// there was no answer, whatever the answer says.
func (n *Notifier) Connect(ctx context.Context) error {
	answered := false
	err := n.ask(ctx, "connect", func(c *call) error {
		_, err := c.service().FetchAccount(n.accountSID)
		if answered = c.status != 0; err != nil {
			return c.failed("connect", err)
		}
		return nil
	})
	if answered {
		return nil
	}
	return err
}

// ask makes one request that changes nothing: read asks by c, and reads the answer. An
// error is a *Error that matches [ErrNotFound], [ErrStop] or [ErrRetry].
func (n *Notifier) ask(ctx context.Context, op string, read func(c *call) error) error {
	if n.password == "" {
		return &Error{Op: op, words: notConfigured, kind: ErrStop}
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	return read(n.newCall(ctx))
}
