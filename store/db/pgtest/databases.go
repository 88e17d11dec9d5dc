package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// Wanted reports whether the tests are to keep their stores on PostgreSQL, and not in files.
// make test runs them on both.
func Wanted() bool { return os.Getenv("DUEWATCH_TEST_STORE") == "postgres" }

var (
	shared struct {
		sync.Once
		server *Server
		err    error
	}
	templates sync.Map // functions that make one, each once, by their names
	databases atomic.Int64
)

// Shared is the one server of all tests of a process. Main ends it.
func Shared() (*Server, error) {
	shared.Do(func() { shared.server, shared.err = New(Throwaway...) })
	return shared.server, shared.err
}

// Main is the TestMain of a package whose tests may ask for databases.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// Database makes a database for one test, which is removed at its end, and returns its
// address. prepare brings an empty one up to date; it is called once, and all others are
// copies of that one. Where it is nil the database is empty.
func Database(t testing.TB, prepare func(address string) error) string {
	t.Helper()
	server, err := Shared()
	if err != nil {
		t.Fatal(err)
	}
	template := ""
	if prepare != nil {
		template = "prepared"
		once, _ := templates.LoadOrStore(template, sync.OnceValue(func() error {
			address, err := server.Create(context.Background(), template, "")
			if err != nil {
				return err
			}
			return prepare(address)
		}))
		if err := once.(func() error)(); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	address, err := server.Create(t.Context(), name, template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Drop(context.Background(), name); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return address
}
