package store

import (
	"os"
	"testing"

	"duewatch/store/db/pgtest"
)

func TestAStoreOfAServerKnowsItsDaemons(t *testing.T) {
	daemons := must(openNew(t).Daemons(t.Context()))
	if !pgtest.Wanted() {
		if len(daemons) != 0 {
			t.Errorf("a file has the daemons %+v", daemons)
		}
		return
	}
	if len(daemons) != 1 || daemons[0].Process != os.Getpid() || daemons[0].Host == "" || daemons[0].Since.IsZero() || daemons[0].SeenAt.IsZero() {
		t.Errorf("the daemons are %+v, want this process", daemons)
	}
}
