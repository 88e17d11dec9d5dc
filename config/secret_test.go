package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestSecretNeverPrints(t *testing.T) {
	holder := struct {
		Token Secret
		More  []Secret
		Ptr   *Secret
	}{"hunter2", []Secret{"hunter2"}, new(Secret("hunter2"))}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", holder, holder.Token)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", holder.Token, "all", holder)
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	if err := yaml.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), "hun"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q got out:\n%s", leak, out.String())
		}
	}
	if got := fmt.Sprint(Secret("x"), Secret("")); got != redacted {
		t.Errorf("prints %q", got)
	}
	if b, err := json.Marshal(Secret("")); err != nil || string(b) != `""` {
		t.Errorf("empty encodes as %s, %v", b, err)
	}
	if Secret("hunter2").Reveal() != "hunter2" {
		t.Error("Reveal does not")
	}
}

func TestSecretSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fromFile, fromEnvFile := write("file", "from-file\n"), write("env", "from-env-file\r\n")
	empty, long, two := write("empty", "\n"), write("long", strings.Repeat("x", maxSecretFile+1)), write("two", "hunter2\nhunter2\n")
	write("creds/almara_client_secret", "from-credential")
	write("bad/almara_client_secret", "hunter2 hunter2")
	const (
		key     = "almara.client_secret"
		keyFile = "almara.client_secret_file"
	)
	creds, env, envFile := "CREDENTIALS_DIRECTORY="+dir+"/creds", "DUEWATCH_ALMARA__CLIENT_SECRET=from-env", "DUEWATCH_ALMARA__CLIENT_SECRET_FILE="+fromEnvFile

	for _, tc := range []struct {
		name string
		yaml string // below almara:
		env  []string
		want string
		err  []string
	}{
		{name: "none"},
		{name: "file", yaml: "client_secret: inline", want: "inline"},
		{name: "named by file", yaml: "client_secret_file: " + fromFile, want: "from-file"},
		{name: "one of them empty", yaml: "client_secret: ''\n  client_secret_file: " + fromFile, want: "from-file"},
		{name: "environment over file", yaml: "client_secret: inline", env: []string{env}, want: "from-env"},
		{name: "environment over named by file", yaml: "client_secret_file: " + fromFile, env: []string{env}, want: "from-env"},
		{name: "named by environment over file", yaml: "client_secret: inline", env: []string{envFile}, want: "from-env-file"},
		{name: "credential over all", yaml: "client_secret: inline", env: []string{env, creds}, want: "from-credential"},
		{name: "no such credential", yaml: "client_secret: inline", env: []string{"CREDENTIALS_DIRECTORY=" + dir}, want: "inline"},

		{name: "both in the file", yaml: "client_secret: hunter2\n  client_secret_file: " + fromFile, err: []string{
			"config.yaml:3: " + keyFile + ": is set beside " + key + ": keep one, best the file"}},
		{name: "both in the environment", env: []string{env, envFile}, err: []string{
			"$DUEWATCH_ALMARA__CLIENT_SECRET_FILE: " + keyFile + ": is set beside " + key + ": keep one, best the file"}},
		{name: "missing file, whose name is not repeated", yaml: "client_secret_file: hunter2", err: []string{
			"config.yaml:2: " + keyFile + ": the file cannot be read: no such file or directory"}},
		{name: "directory", yaml: "client_secret_file: " + dir, err: []string{
			"config.yaml:2: " + keyFile + ": the file cannot be read: is a directory"}},
		{name: "empty file", yaml: "client_secret_file: " + empty, err: []string{
			"config.yaml:2: " + keyFile + ": the file is empty: write the secret into it, on one line"}},
		{name: "long file", yaml: "client_secret_file: " + long, err: []string{
			"config.yaml:2: " + keyFile + ": the file is longer than a secret can be: name one that holds only the secret"}},
		{name: "two lines", yaml: "client_secret_file: " + two, err: []string{
			"config.yaml:2: " + keyFile + ": holds a space, a line break or a control character: write the secret alone, on one line"}},
		{name: "space in it", yaml: "client_secret: hunter2 hunter2", err: []string{
			"config.yaml:2: " + key + ": holds a space, a line break or a control character: write the secret alone, on one line"}},
		{name: "bad credential", env: []string{"CREDENTIALS_DIRECTORY=" + dir + "/bad"}, err: []string{
			"$CREDENTIALS_DIRECTORY: " + key + ": credential almara_client_secret: holds a space, a line break or a control character: write the secret alone, on one line"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, err := load("config.yaml", []byte("almara:\n  "+tc.yaml+"\n"), sandbox(tc.env...))
			if diff := cmp.Diff(tc.err, problemsOf(t, err)); diff != "" {
				t.Fatalf("problems (-want +got):\n%s", diff)
			}
			if err == nil && cfg.Almara.ClientSecret.Reveal() != tc.want {
				t.Errorf("secret %q, want %q", cfg.Almara.ClientSecret.Reveal(), tc.want)
			}
		})
	}
}

func TestEverySecretHasItsCredential(t *testing.T) {
	for name, get := range map[string]func(*Config) Secret{
		"almara_client_secret":  func(c *Config) Secret { return c.Almara.ClientSecret },
		"twilio_auth_token":     func(c *Config) Secret { return c.Notifier.Twilio.AuthToken },
		"twilio_api_key_secret": func(c *Config) Secret { return c.Notifier.Twilio.APIKeySecret },
		"web_token":             func(c *Config) Secret { return c.Web.Token },
		"store_password":        func(c *Config) Secret { return c.StorePassword },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), []byte("0123456789abcdef"), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := get(mustLoad(t, "", sandbox("CREDENTIALS_DIRECTORY="+dir))); got.Reveal() != "0123456789abcdef" {
				t.Errorf("secret %q", got.Reveal())
			}
		})
	}
}
