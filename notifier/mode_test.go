package notifier

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"duewatch/reminder"
)

func TestModeAllowsOnlyItsPhones(t *testing.T) {
	const other = reminder.Phone("+254710000009")
	tests := []struct {
		name     string
		delivery reminder.Delivery
		to       reminder.Phone
		leaves   bool
	}{
		{"off", reminder.Delivery{Mode: reminder.ModeOff}, testPhone, false},
		{"allowlist, listed", reminder.Delivery{Mode: reminder.ModeAllowlist, Allowlist: map[reminder.Phone]bool{testPhone: true}}, testPhone, true},
		{"allowlist, not listed", reminder.Delivery{Mode: reminder.ModeAllowlist, Allowlist: map[reminder.Phone]bool{testPhone: true}}, other, false},
		{"allowlist, listed as no", reminder.Delivery{Mode: reminder.ModeAllowlist, Allowlist: map[reminder.Phone]bool{testPhone: false}}, testPhone, false},
		{"allowlist, empty", reminder.Delivery{Mode: reminder.ModeAllowlist}, testPhone, false},
		{"redirect, to the operator", reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: other}, other, true},
		{"redirect, to a customer", reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: other}, testPhone, false},
		{"live", reminder.Delivery{Mode: reminder.ModeLive}, testPhone, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var posts atomic.Int32
			c := testConfig(serve(t, func(w http.ResponseWriter, r *http.Request) {
				posts.Add(1)
				answer(201, "application/json", created)(w, r)
			}))
			c.Delivery = tt.delivery
			m := testMessage()
			m.To = tt.to
			got := newNotifier(t, c).Send(t.Context(), m)
			if tt.leaves {
				if got.Outcome != Accepted || posts.Load() != 1 {
					t.Errorf("outcome %q after %d requests, want accepted after 1", got.Outcome, posts.Load())
				}
				return
			}
			if got.Outcome != NotSent || !errors.Is(got.Err, ErrMode) || posts.Load() != 0 {
				t.Errorf("outcome %q, err %v after %d requests; want not_sent by the mode after none", got.Outcome, got.Err, posts.Load())
			}
		})
	}
	t.Run("a later change of the caller's list opens nothing", func(t *testing.T) {
		list := map[reminder.Phone]bool{}
		c := testConfig("http://127.0.0.1:1")
		c.Delivery = reminder.Delivery{Mode: reminder.ModeAllowlist, Allowlist: list}
		n := newNotifier(t, c)
		list[testPhone] = true
		if got := n.Send(t.Context(), testMessage()); !errors.Is(got.Err, ErrMode) {
			t.Errorf("err %v, want ErrMode", got.Err)
		}
	})
}

func TestMessagesThatCannotBeSentAreNot(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Message)
		want   Class
	}{
		{"no phone", func(m *Message) { m.To = "" }, BadNumber},
		{"a national number", func(m *Message) { m.To = "0710000003" }, BadNumber},
		{"a channel address", func(m *Message) { m.To = "whatsapp:+254710000003" }, BadNumber},
		{"empty text", func(m *Message) { m.Body = " \n" }, BadText},
		{"text too long", func(m *Message) { m.Body = strings.Repeat("é", maxBody+1) }, BadText},
		{"text not UTF-8", func(m *Message) { m.Body = "\xff" }, BadText},
		{"no validity", func(m *Message) { m.Validity = 0 }, ""},
		{"validity under a second", func(m *Message) { m.Validity = 999 * time.Millisecond }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNotifier(t, testConfig(serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })))
			m := testMessage()
			tt.change(&m)
			got := n.Send(t.Context(), m)
			if got.Outcome != NotSent || got.Class != tt.want || got.Err == nil {
				t.Errorf("outcome %q, class %q, err %v; want not_sent, %q and an error", got.Outcome, got.Class, got.Err, tt.want)
			}
			leaksNothing(t, got.Err)
		})
	}
}
