package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCredentialsOfTheServiceAreFound(t *testing.T) {
	const secret = "0123456789abcdef"
	encryptedSecret := strings.Repeat(strings.Repeat("A", 79)+"\n", 4)
	for name, tt := range map[string]struct {
		running, stored map[string]string // files and what is in them
		config          string
		environ         string // CREDENTIALS_DIRECTORY
		from            string // how the words begin; "" = none are found
		err             error
	}{
		"the service runs": {
			running: map[string]string{"almara_client_secret": secret},
			stored:  map[string]string{"almara/client_secret": "another"}, config: "etc/config.yaml", from: "those of the running service",
		},
		"before the first start": {
			stored: map[string]string{"almara/client_secret": secret + "\n", "twilio/auth_token": secret}, config: "etc/config.yaml",
			from: "those that the service will be given",
		},
		"another config of the service": {
			stored: map[string]string{"almara/client_secret": secret}, config: "etc/next.yaml", from: "those that the service will be given",
		},
		"encrypted, and it does not run": {
			stored: map[string]string{"almara/client_secret": encryptedSecret}, config: "etc/config.yaml", err: errEncrypted,
		},
		"encrypted, and it runs": {
			running: map[string]string{"almara_client_secret": secret},
			stored:  map[string]string{"almara/client_secret": encryptedSecret}, config: "etc/config.yaml", from: "those of the running service",
		},
		"none yet":            {config: "etc/config.yaml"},
		"a config of its own": {stored: map[string]string{"almara/client_secret": secret}, config: "home/config.yaml"},
		"handed over": {
			running: map[string]string{"almara_client_secret": "another"}, config: "etc/config.yaml", environ: "/somewhere",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", t.TempDir())
			t.Setenv("CREDENTIALS_DIRECTORY", tt.environ)
			places := credentialPlaces{filepath.Join(dir, "etc"), filepath.Join(dir, "run"), filepath.Join(dir, "stored")}
			for under, files := range map[string]map[string]string{places.running: tt.running, places.stored: tt.stored} {
				for file, text := range files {
					file = filepath.Join(under, file)
					if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
						t.Fatal(err)
					}
				}
			}
			folder, from, done, err := places.find(filepath.Join(dir, tt.config))
			if !errors.Is(err, tt.err) || !strings.HasPrefix(from, tt.from) || (folder != "") != (tt.from != "") {
				t.Fatalf("folder %q, from %q, error %v", folder, from, err)
			}
			if tt.from != "" {
				text, err := os.ReadFile(filepath.Join(folder, "almara_client_secret"))
				if err != nil || strings.TrimSpace(string(text)) != secret {
					t.Errorf("the secret of Almara Pay is %q: %v", text, err)
				}
			}
			done()
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
				t.Errorf("%v is left in the temporary folder (%v)", left, err)
			}
		})
	}
}

func TestWhoMayNotReadTheConfigIsToldToUseSudo(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything; systemd/test tries it as another user")
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	_, err := (&app{configPath: path}).load(true)
	if err == nil || !strings.Contains(err.Error(), "use sudo") {
		t.Error(err)
	}
}
