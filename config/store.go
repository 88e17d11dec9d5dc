package config

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// StoreOnServer reports whether a store is a database of a PostgreSQL server, by its
// address, and not a file.
func StoreOnServer(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// StoreAddress is the store as it is opened: with the password, and never to be printed.
func (c *Config) StoreAddress() string { return c.AddressOf(c.Store) }

// AddressOf is StoreAddress for another store that CheckStore has accepted: the password
// is the same.
func (c *Config) AddressOf(store string) string {
	if !StoreOnServer(store) || c.StorePassword == "" {
		return store
	}
	u, err := url.Parse(store)
	if err != nil {
		return store // CheckStore has refused it
	}
	u.User = url.UserPassword(u.User.Username(), c.StorePassword.Reveal())
	return u.String()
}

// SandboxState is the file in which the sandbox keeps its state: beside a store that is a
// file, and for a database in the working directory, by its name.
func (c *Config) SandboxState() string {
	name := c.Store
	if u, err := url.Parse(c.Store); err == nil && StoreOnServer(c.Store) {
		name = path.Base(u.Path)
	}
	return name + ".sandbox.json"
}

// CheckStore says what is wrong with a path or an address, and what to write instead. It
// repeats no address, which may hold a password.
func CheckStore(s string) error {
	if StoreOnServer(s) {
		return checkAddress(s)
	}
	_, _, isURL := strings.Cut(s, "://")
	switch {
	case s == "", isURL, strings.HasPrefix(s, "file:"), strings.ContainsAny(s, "?\x00"):
		return errors.New("is neither the path of a file nor the address of a database: write one such as /var/lib/duewatch/duewatch.db, " +
			"without ? or file:, or " + addressForm)
	case strings.HasPrefix(s, ":memory:"):
		return fmt.Errorf("%s would forget at each restart who was texted: write the path of a file, such as duewatch.db", shown(s))
	case strings.HasSuffix(s, "/"), path.Base(s) == ".", path.Base(s) == "..":
		return fmt.Errorf("%s is a directory: write the path of a file in it, such as %s", shown(s), path.Join(s, "duewatch.db"))
	}
	return nil
}

const addressForm = "postgres://ROLE@HOST:5432/DATABASE?sslmode=verify-full"

// passwordKeys are the parameters of an address that hold a secret.
var passwordKeys = []string{"password", "sslpassword"}

func checkAddress(s string) error {
	const secret = "holds a password, which would be seen in logs and lists of processes: leave it out, and write it into a file " +
		"that store_password_file names, or give the credential store_password"
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("is not an address: write " + addressForm)
	}
	if _, has := u.User.Password(); has {
		return errors.New(secret)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("is not an address, behind the question mark: write " + addressForm)
	}
	for _, key := range passwordKeys {
		if query.Has(key) {
			return errors.New(secret)
		}
	}
	switch {
	case u.User.Username() == "":
		return errors.New("names no role: write " + addressForm)
	case u.Host == "" && !query.Has("host"):
		return errors.New("names no host: write " + addressForm)
	case strings.Trim(u.Path, "/") == "":
		return errors.New("names no database: write " + addressForm)
	case strings.Contains(strings.Trim(u.Path, "/"), "/"), u.Fragment != "":
		return errors.New("names no single database behind the host: write " + addressForm)
	}
	return nil
}
