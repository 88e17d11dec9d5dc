package cli

import (
	"strings"
	"testing"
	"time"

	"duewatch/config"
	"duewatch/store"
)

func TestWhatIsSaidOfTheServerOfADatabase(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Store: "postgres://role@db/duewatch"}
	good := store.ServerReport{
		Version: "15.4", Fsync: true, FullPageWrites: true, SynchronousCommit: "on", MayCreate: true,
		SynchronousWith: "standby", Standbys: 1, Confirming: 1, KnowsTimeline: true,
		Connections: 5, MostConnections: 97, Bytes: 3 << 20, KeepsStatements: true, ClockAhead: 500 * time.Millisecond,
	}
	for _, tc := range []struct {
		name   string
		change func(*store.ServerReport)
		level  string
		want   string
	}{
		{"all is well", func(*store.ServerReport) {}, levelOK, "postgres://role@db/duewatch is on PostgreSQL 15.4, and has 3 MiB"},
		{"a pooler", func(r *store.ServerReport) { r.Pooler = true }, levelOK, "15.4, through a pooler"},
		{"a standby", func(r *store.ServerReport) { r.Standby = true }, levelFix, "name the primary"},
		{"read only", func(r *store.ServerReport) { r.ReadOnly = true }, levelFix, "default_transaction_read_only = off"},
		{"fsync", func(r *store.ServerReport) { r.Fsync = false }, levelFix, "write fsync = on"},
		{"full pages", func(r *store.ServerReport) { r.FullPageWrites = false }, levelFix, "write full_page_writes = on"},
		{"no wait for the disk", func(r *store.ServerReport) { r.SynchronousCommit = "off" }, levelFix, "they are sent a second time"},
		{"no standby", func(r *store.ServerReport) { r.Standbys, r.SynchronousWith, r.Confirming = 0, "", 0 }, levelNote, "there is no standby: when the server is lost"},
		{"a standby nobody waits for", func(r *store.ServerReport) { r.SynchronousWith, r.Confirming = "", 0 }, levelNote, "set synchronous_standby_names"},
		{"no wait for the standby", func(r *store.ServerReport) { r.SynchronousCommit = "local" }, levelNote, "synchronous_commit is local"},
		{"a standby that is gone", func(r *store.ServerReport) { r.Standbys, r.Confirming = 0, -1 }, levelFix, "none of that name is connected"},
		{"a standby of another name", func(r *store.ServerReport) { r.Confirming = 0 }, levelFix, "none of that name is connected"},
		{"a standby that the role may not see", func(r *store.ServerReport) { r.Confirming = -1 }, levelOK, "15.4"},
		{"a primary that came back", func(r *store.ServerReport) { r.Writable = []string{"db1:5432", "db2:5432"} }, levelFix, "db1:5432 and db2:5432 can all be written"},
		{"a server that keeps its timeline to itself", func(r *store.ServerReport) { r.KnowsTimeline = false }, levelNote, "does not say which timeline"},
		{"no rights", func(r *store.ServerReport) { r.NoRight = "texts" }, levelFix, "the table texts: GRANT"},
		{"no new tables", func(r *store.ServerReport) { r.MayCreate = false }, levelFix, "GRANT CREATE ON SCHEMA"},
		{"tables of another role", func(r *store.ServerReport) { r.NotOwned = "texts" }, levelNote, "OWNER TO"},
		{"few connections", func(r *store.ServerReport) { r.Connections = 90 }, levelFix, "only 7 connections of the server's 97 are left"},
		{"a long transaction", func(r *store.ServerReport) {
			r.Long = []store.LongTransaction{{Pid: 42, Application: "psql", For: 2 * time.Minute}}
		}, levelNote, `process 42 (application "psql") has been open for 2m0s`},
		{"a clock that is somewhat off", func(r *store.ServerReport) { r.ClockAhead = -2 * time.Second }, levelNote, "are 2s apart"},
		{"a clock that is off", func(r *store.ServerReport) { r.ClockAhead = 6 * time.Second }, levelFix, "are 6s apart"},
		{"an answer too slow to tell", func(r *store.ServerReport) { r.ClockAhead, r.ClockWithin = 6*time.Second, 6*time.Second }, levelOK, "15.4"},
		{"a pooler without statements", func(r *store.ServerReport) { r.Pooler, r.KeepsStatements = true, false }, levelFix, "default_query_exec_mode=exec"},
	} {
		r := good
		tc.change(&r)
		found := serverFindings(cfg, r)
		last := found[len(found)-1]
		if last.Level != tc.level || !strings.Contains(last.Text, tc.want) {
			t.Errorf("%s: %v, want %s with %q", tc.name, found, tc.level, tc.want)
		}
		if ok := found[0].Level == levelOK; ok == (tc.level == levelFix) {
			t.Errorf("%s: the first line is %v", tc.name, found[0])
		}
	}
}
