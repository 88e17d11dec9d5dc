package notifier

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// A process that may open no more files cannot make a connection: no byte of the
// text has left, and it says what is the matter.
func TestSendOutOfFileDescriptors(t *testing.T) {
	n := newNotifier(t, testConfig(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })))
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	got := n.Send(t.Context(), testMessage())
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	if got.Outcome != NotSent || got.Class != "" {
		t.Errorf("outcome %q, class %q; want not_sent and none", got.Outcome, got.Class)
	}
	if got.Err == nil || !strings.Contains(got.Err.Error(), "too many open files") {
		t.Errorf("it says %v", got.Err)
	}
	leaksNothing(t, got.Err)
}
