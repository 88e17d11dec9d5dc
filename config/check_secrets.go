package config

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// credentialsDirectory is where systemd puts the credentials of a unit
// (systemd.exec(5), LoadCredential=).
const credentialsDirectory = "CREDENTIALS_DIRECTORY"

// wanted is one secret of the config.
type wanted struct {
	key        string                    // has key_file beside it
	credential string                    // name of the systemd credential
	check      func(secret string) error // nil = any text
}

// secret reads a secret from the best of its sources; "" when there is none or
// it is bad.
func (c *checker) secret(v view, w wanted) Secret {
	s, report, err := c.findSecret(v, w)
	if err == nil && s != "" {
		err = checkSecretText(s.Reveal())
	}
	if err == nil && s != "" && w.check != nil {
		err = w.check(s.Reveal())
	}
	if err != nil {
		report("%v", err)
		return ""
	}
	return s
}

// findSecret returns a secret, or why it cannot be read, and how to report a
// fault of it where it was found.
func (c *checker) findSecret(v view, w wanted) (s Secret, report func(format string, args ...any), err error) {
	if dir := c.environ(credentialsDirectory); dir != "" {
		s, err := readSecret(filepath.Join(dir, w.credential))
		if !errors.Is(err, fs.ErrNotExist) {
			return s, func(format string, args ...any) {
				at := place{env: credentialsDirectory}
				c.problems.add(at, w.key, "credential "+w.credential+": "+format, args...)
			}, err
		}
	}
	fileKey := w.key + "_file"
	inline, file := v.text(w.key), v.text(fileKey)
	inlineAt, _ := v.where(w.key)
	fileAt, _ := v.where(fileKey)
	reportAt := func(key string) func(string, ...any) {
		return func(format string, args ...any) { v.bad(key, format, args...) }
	}
	switch {
	case file == "", inline != "" && inlineAt.env != "" && fileAt.env == "":
		return Secret(inline), reportAt(w.key), nil
	case inline != "" && (inlineAt.env != "") == (fileAt.env != ""):
		return "", reportAt(fileKey), errors.New("is set beside " + w.key + ": keep one, best the file")
	default:
		s, err := readSecret(file)
		return s, reportAt(fileKey), err
	}
}

// given reports whether a secret has a source, be it a bad one: a bad source
// is a problem of its own, and the secret is not missing.
func (c *checker) given(v view, key string, s Secret) bool {
	inCredential := c.problems.has(place{env: credentialsDirectory}, key)
	return s != "" || inCredential || v.text(key) != "" || v.text(key+"_file") != "" || v.broken(key) || v.broken(key+"_file")
}
