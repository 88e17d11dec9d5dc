package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"duewatch/importer"
)

// redacted is what a Secret prints.
const redacted = "[redacted]"

// Secret is a password, key or token. Printed, logged or encoded in any way
// it reads "[redacted]", or "" when it is not set; Reveal is the one way to
// its text.
type Secret string

// Reveal returns the secret itself, to hand to the service it opens.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// Format is String for every verb: %x and %d pass Stringer by.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is String.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// maxSecretFile is more than any key or token needs: a file that is longer was
// named by mistake.
const maxSecretFile = 8 << 10

// readSecret reads the one line of a secret file. The error repeats neither
// its content nor its path, which may be the secret itself, written behind the
// wrong key.
func readSecret(path string) (Secret, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", importer.WithoutPath(err))
	}
	defer func() { _ = f.Close() }() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", importer.WithoutPath(err))
	}
	// An editor ends a file with a newline, which is no part of the secret.
	s := strings.TrimRight(string(b), "\r\n")
	switch {
	case len(b) > maxSecretFile:
		return "", errors.New("the file is longer than a secret can be: name one that holds only the secret")
	case s == "":
		return "", errors.New("the file is empty: write the secret into it, on one line")
	}
	return Secret(s), nil
}

// checkSecretText refuses what no service hands out and what a copied line
// easily brings along.
func checkSecretText(s string) error {
	for _, r := range s {
		if r <= ' ' || r == 0x7f {
			return errors.New("holds a space, a line break or a control character: write the secret alone, on one line")
		}
	}
	return nil
}
