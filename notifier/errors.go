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
	// ErrGuard marks a text that the delivery mode does not let through. It
	// should have been held long before Send: the decision was wrong.
	ErrGuard = errors.New("stopped by the delivery guard")
	// ErrLate marks a text whose request had not begun to be written by
	// Message.WriteBy, and never will be.
	ErrLate = errors.New("the request was not written in time")
	// ErrNotFound marks a sid that Twilio does not know.
	ErrNotFound = errors.New("no such message")
	// ErrStop marks an account that Twilio does not let in: whatever is asked
	// gets the same answer until the operator acts.
	ErrStop = errors.New("the account is refused")
	// ErrRetry marks a question that got no usable answer: ask later. It says
	// nothing of other questions.
	ErrRetry = errors.New("no usable answer")
)

// Error is what went wrong in one call, in words that are safe to log: it
// holds nothing that Twilio or a proxy wrote. It matches one of the sentinels
// above, where one fits, and the context's error, if that ended the call.
type Error struct {
	Op         string        // send, fetch or list
	HTTPStatus int           // 0 = there was no answer
	Code       int           // Twilio's error code; 0 = none given
	RetryAfter time.Duration // the pause that was asked for; 0 = none

	words string
	kind  error // a sentinel of this package, or nil
	ended error // context.Canceled, context.DeadlineExceeded, or nil
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

// Unwrap gives the sentinels that e matches.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.kind, e.ended} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// noAnswer words a failed exchange. Only the text of errors that are made on
// this side of the wire is passed on: net/http quotes what it cannot parse,
// and that may be anything.
func noAnswer(err error) (words string, ended error) {
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
		words, ended = noAnswer(op.Err)
		return "the proxy: " + words, ended
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
