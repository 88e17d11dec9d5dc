package notifier

import (
	"context"
	"net/http"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"duewatch/reminder"
)

// AccountInfo is what Twilio says of the account (Account resource).
type AccountInfo struct {
	Active bool   // else suspended or closed
	Trial  bool   // a trial account texts verified numbers only
	Status string // in Twilio's word
}

// Account asks Twilio for the account itself: the one request that proves the
// credentials and has no effect. An error is always a *Error that matches
// [ErrStop] or [ErrRetry].
func (n *Notifier) Account(ctx context.Context) (AccountInfo, error) {
	var info AccountInfo
	err := n.question(ctx, "account", func(c *call) error {
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

// Owns reports whether a number belongs to the account, and can text
// (IncomingPhoneNumber resource). An error is as for Account.
func (n *Notifier) Owns(ctx context.Context, number reminder.Phone) (found, texts bool, err error) {
	err = n.question(ctx, "numbers", func(c *call) error {
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

// Connect makes a request that changes nothing, so that a connection is ready for
// the next text: making one may take longer than a text may wait for it. It
// returns an error when there was no answer, and not for what the answer says.
func (n *Notifier) Connect(ctx context.Context) error {
	answered := false
	err := n.question(ctx, "connect", func(c *call) error {
		_, err := c.service().FetchAccount(n.accountSID)
		if answered = c.status != 0; err != nil {
			return c.failed("connect", err)
		}
		return nil
	})
	if answered {
		return nil // a connection is ready
	}
	return err
}

// question makes one request that changes nothing.
func (n *Notifier) question(ctx context.Context, op string, ask func(*call) error) error {
	if n.password == "" {
		return &Error{Op: op, words: "no Twilio credentials are configured", kind: ErrStop}
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	c := n.newCall(ctx)
	err := ask(c)
	if err != nil && c.status == http.StatusNotFound {
		return &Error{Op: op, HTTPStatus: c.status, words: "there is no such account", kind: ErrStop}
	}
	return err
}
