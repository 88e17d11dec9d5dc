package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A machine that lacks what the build needs is told what to install: a Go before
// 1.21 says nothing of use about a go.mod that asks for a newer one.
func TestMakeSaysWhatAMachineLacks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	const fromApt = "sudo apt install golang gcc libc6-dev make git"
	for name, tt := range map[string]struct {
		version, cc string // that the go found says; "" = there is none
		says        []string
	}{
		"no go":            {"", "cc", []string{"there is no", fromApt, "https://go.dev/dl/"}},
		"Debian 12's":      {"go version go1.19.8 linux/amd64", "cc", []string{"go1.19.8, which is too old", fromApt}},
		"the last such":    {"go version go1.20.14 linux/amd64", "cc", []string{"too old"}},
		"the first to do":  {"go version go1.21.0 linux/amd64", "true", nil},
		"Debian 13's":      {"go version go1.24.4 linux/amd64", "true", nil},
		"a candidate":      {"go version go1.27rc1 linux/amd64", "true", nil},
		"of no release":    {"go version devel go1.28-1f8ab4 linux/amd64", "true", nil},
		"no C compiler":    {"go version go1.24.4 linux/amd64", "none", []string{"needs a C compiler", "gcc libc6-dev"}},
		"no C headers yet": {"go version go1.24.4 linux/amd64", "false", []string{"needs a C compiler", "gcc libc6-dev"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := filepath.Join(t.TempDir(), "go")
			if tt.version != "" {
				script := "#!/bin/sh\ncase \"$1\" in version) echo '" + tt.version + "';; env) echo '" + tt.cc + "';; *) exit 1;; esac\n"
				if err := os.WriteFile(found, []byte(script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.CommandContext(t.Context(), "make", "needs", "GO="+found).CombinedOutput()
			if (err == nil) != (tt.says == nil) {
				t.Errorf("%v\n%s", err, out)
			}
			for _, want := range tt.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
		})
	}
}

// Beside an installed duewatch, which has the port, make run takes the next free one.
//
// It is not parallel: a process that another test starts just then would hold the script
// open, and the kernel runs no file that is open for writing.
func TestMakeRunTakesAFreePort(t *testing.T) {
	makefile, err := filepath.Abs("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	run := func(env ...string) string {
		t.Helper()
		dir := t.TempDir()
		script := "#!/bin/sh\necho \"listens on ${DUEWATCH_WEB__LISTEN:-the port of the config}\"\n"
		for name, text := range map[string]string{"duewatch": script, "go.mod": "go 1.26.8\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.CommandContext(t.Context(), "make", "-s", "-C", dir, "-f", makefile, "--assume-old=build", "run")
		c.Env = append(os.Environ(), env...)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:8750")
	if err == nil {
		defer l.Close() //nolint:errcheck // of a test
	} // else another program has it
	taken := regexp.MustCompile(`^port 8750 is taken: the page, \S+ and \S+ are at http://127\.0\.0\.1:(\d+)\nlistens on 127\.0\.0\.1:(\d+)\n$`)
	said := run("DUEWATCH_WEB__LISTEN=")
	if ports := taken.FindStringSubmatch(said); len(ports) == 0 || ports[1] != ports[2] || ports[1] == "8750" {
		t.Errorf("with the port taken: %s", said)
	}
	if said := run("DUEWATCH_WEB__LISTEN=127.0.0.1:1"); said != "listens on 127.0.0.1:1\n" {
		t.Errorf("with a port of the environment: %s", said)
	}
}

// README, make and go.mod name the same Go, and the same packages.
func TestReadmeNamesTheGoThatIsNeeded(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	version := regexp.MustCompile(`(?m)^go (.+)$`).FindStringSubmatch(read("go.mod"))
	apt := regexp.MustCompile(`(?m)^APT\s*:= (.+)$`).FindStringSubmatch(read("Makefile"))
	if version == nil || apt == nil {
		t.Fatalf("go.mod says %q, the Makefile %q", version, apt)
	}
	for _, want := range []string{"Go " + version[1] + ".", "unpack go" + version[1] + " from", "\n    " + apt[1] + "\n"} {
		if !strings.Contains(read("README.md"), want) {
			t.Errorf("README.md does not say %q", want)
		}
	}
}
