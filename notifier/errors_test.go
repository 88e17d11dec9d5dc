package notifier

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
)

// net/http quotes what it cannot parse, and a proxy says what it likes: only
// errors of this machine's own making are passed on in their own words.
func TestNoAnswer(t *testing.T) {
	const foreign = "+254710000003"
	tests := []struct {
		err  error
		want string
	}{
		{fmt.Errorf("malformed HTTP response %q", foreign), "the connection failed"},
		{&net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New(foreign)}, "the proxy: the connection failed"},
		{&net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}, "the proxy: dial tcp: connection refused"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}, "dial tcp: no route to host"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "x.invalid"}}, "lookup x.invalid: no such host"},
		{&net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}, "the connection was reset"},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, "the connection timed out"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{nil, "the connection failed"},
	}
	for _, tt := range tests {
		if got, ended := noAnswer(tt.err); got != tt.want || ended != nil {
			t.Errorf("%v: %q, %v; want %q", tt.err, got, ended, tt.want)
		}
	}
}

// Each outcome that can be counted is one of those that are known beforehand.
func TestTheOutcomesOfCallsAreKnown(t *testing.T) {
	known := CallOutcomes()
	for _, err := range []error{nil, ErrNotFound, ErrStop, ErrRetry} {
		for _, op := range []string{"fetch", "list"} {
			if got := askOutcome(err); !slices.Contains(known[op], got) {
				t.Errorf("%s: %v is counted as %q", op, err, got)
			}
		}
	}
	for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500, 503} {
		for _, code := range append(Codes(), 0, 99999) {
			if got, _ := classify(status, code); !slices.Contains(known["send"], string(got)) {
				t.Errorf("status %d, code %d: counted as %q", status, code, got)
			}
		}
	}
}
