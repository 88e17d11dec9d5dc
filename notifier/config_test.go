package notifier

import (
	"strings"
	"testing"

	"duewatch/reminder"
)

func TestConfigFaultsAreAllReported(t *testing.T) {
	_, err := New(Config{
		AccountSID: "AC1", AuthToken: testToken + "\n", APIKeySID: "SK1", From: "+254710000003\n", MessagingServiceSID: "MG1",
		BaseURL: "http://api.example.com", Timeout: -1, Concurrency: -1, Delivery: reminder.Delivery{Mode: "on"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"account_sid:", "auth_token:", "api_key_sid, api_key_secret:", "api_key_sid:", "from:", "messaging_service_sid:", "base_url:", "timeout:", "concurrency:", "mode:"} {
		if !strings.Contains(err.Error(), "\n"+key) && !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s is not reported in:\n%v", key, err)
		}
	}
	leaksNothing(t, err)
}

func TestConfigs(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		ok     bool
	}{
		{"complete", func(*Config) {}, true},
		{"mode off and nothing else", func(c *Config) { *c = Config{Delivery: reminder.Delivery{Mode: reminder.ModeOff}} }, true},
		{"mode off and half an account", func(c *Config) { c.Delivery.Mode, c.AuthToken = reminder.ModeOff, "" }, false},
		{"zero mode", func(c *Config) { c.Delivery = reminder.Delivery{} }, false},
		{"redirect to no one", func(c *Config) { c.Delivery.Mode = reminder.ModeRedirect }, false},
		{"no secret", func(c *Config) { c.AuthToken = "" }, false},
		{"no sender", func(c *Config) { c.From = "" }, false},
		{"sender with a space", func(c *Config) { c.From = "Due Watch" }, true},
		{"http to this machine", func(c *Config) { c.BaseURL = "http://[::1]:80" }, true},
		{"http to another", func(c *Config) { c.BaseURL = "http://10.0.0.1" }, false},
		{"an address with a password", func(c *Config) { c.BaseURL = "https://u:p@example.com" }, false},
		{"not an address", func(c *Config) { c.BaseURL = "api.twilio.com" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig("")
			tt.change(&c)
			if _, err := New(c); (err == nil) != tt.ok {
				t.Errorf("err %v, want none: %t", err, tt.ok)
			}
		})
	}
}

func TestConfigPrintsNoSecret(t *testing.T) {
	c := testConfig("https://user:" + testToken + "@example.com")
	c.APIKeySecret, c.From = testToken, string(testPhone)
	c.Delivery = reminder.Delivery{Mode: reminder.ModeRedirect, RedirectTo: testPhone, Allowlist: map[reminder.Phone]bool{testPhone: true}}
	leaksNothing(t, c, &c, testMessage(), struct{ C Config }{c})
}
