package notifier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

var (
	// ErrMode marks a text that the delivery mode does not allow. It should have
	// been held long before Send: the decision was wrong.
	ErrMode = errors.New("the delivery mode does not allow the text")
	// ErrLate marks a text whose request was not begun by Message.WriteBy, and never
	// will be.
	ErrLate = errors.New("the request was not written in time")
	// ErrNotFound marks a sid that Twilio does not know.
	ErrNotFound = errors.New("no such message")
	// ErrStop marks an account that Twilio refuses: every request gets the same
	// answer until the operator acts.
	ErrStop = errors.New("the account is refused")
	// ErrRetry marks a question without a usable answer: ask again later. It says
	// nothing about other questions.
	ErrRetry = errors.New("no usable answer")
)

// notConfigured is the fault of a call in mode off that has none.
const notConfigured = "no Twilio credentials are configured"

// Error is what went wrong in one call, in words that are safe to log: it holds
// nothing that Twilio or a proxy wrote. It matches one of the errors above where one
// applies, and the context's error if that ended the call.
type Error struct {
	Op         string        // send, fetch, list, account, numbers or connect
	HTTPStatus int           // 0 = there was no answer
	Code       int           // Twilio's error code; 0 = none given
	RetryAfter time.Duration // the pause that was asked for; 0 = none

	words  string
	kind   error // one of the errors above, or nil
	ctxErr error // context.Canceled, context.DeadlineExceeded, or nil
}

// Error never names a phone, a secret or a body.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("twilio " + e.Op + ": " + e.words)
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ", http status %d", e.HTTPStatus)
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, ", https://www.twilio.com/docs/errors/%d", e.Code)
	}
	return b.String()
}

// GoString is Error, for %#v.
func (e *Error) GoString() string { return e.Error() }

// Unwrap lists the errors that e matches.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.kind, e.ctxErr} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// noAnswer says why there was no answer. It repeats only the text of errors that are
// made on this side of the connection: net/http quotes what it cannot parse, which
// may be anything.
func noAnswer(err error) (words string, ctxErr error) {
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
		host x509.HostnameError
		to   interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time", context.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return "cancelled before there was an answer", context.Canceled
	case errors.As(err, &op) && op.Op == "proxyconnect":
		words, ctxErr = noAnswer(op.Err)
		return "the proxy: " + words, ctxErr
	case errors.As(err, &dns):
		return dns.Error(), nil
	case errors.As(err, &op) && op.Op == "dial":
		return op.Error(), nil
	case errors.As(err, &cert):
		return cert.Error(), nil
	case errors.As(err, &host):
		return host.Error(), nil
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the other side speaks http, not https", nil
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset", nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was complete", nil
	case errors.Is(err, errTooLong):
		return errTooLong.Error(), nil
	case errors.As(err, &to) && to.Timeout():
		return "the connection timed out", nil
	default:
		return "the connection failed", nil
	}
}
