package cli

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"duewatch/config"
	"duewatch/store"
)

// How far the clocks of this machine and of the database server may be apart. Leases and
// the order of what was written go by the server's, and everything else by this one's.
const (
	clocksApartNote = time.Second
	clocksApartFix  = 5 * time.Second
)

// neededConnections is how many connections the daemon has, with some left for commands.
const neededConnections = 10

// database is theStore for a database.
func (d *doctor) database(ctx context.Context) []finding {
	const part = "store"
	var out findings
	switch {
	case errors.Is(d.storeErr, store.ErrNotFound):
		out.add(levelNote, part, "the database %s is empty; the daemon makes its tables at its first start", d.cfg.Store)
	case d.storeErr != nil:
		return found(levelFix, part, "%s", reason(d.storeErr))
	}
	out = append(out, d.worldOfStore(ctx)...)
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	r, err := store.ReportServer(ctx, d.cfg.StoreAddress())
	if err != nil {
		return out.add(levelFix, part, "%s", reason(err))
	}
	out = append(out, serverFindings(d.cfg, r)...)
	return append(out, d.daemons(ctx)...)
}

// daemons tells which daemons work on the database, and which wait.
func (d *doctor) daemons(ctx context.Context) (out findings) {
	if d.store == nil {
		return nil
	}
	members, err := d.store.Members(ctx)
	if err != nil {
		return out.add(levelFix, "daemons", "%s", reason(err))
	}
	for _, m := range members {
		level, does := levelOK, "works"
		switch {
		case !m.Lives:
			level, does = levelNote, "is not heard of any more; another one takes over its work"
		case !m.Decides:
			level, does = levelFix, "waits, since its config differs: give all the same, or duewatch release --reason config_differs"
		case !m.Works:
			level, does = levelNote, "leaves its work to the others, as "+m.Aside
		case m.Leads:
			does = "works, and leads"
		}
		out.add(level, "daemons", "%s, process %d, %s, mode %s, config %s: %s; last heard of %s",
			m.Host, m.PID, cmp.Or(m.Version, "of no version"), cmp.Or(m.Mode, "not said yet"), cmp.Or(m.Config, "not said yet"), does,
			d.app.shortTime(m.SeenAt, d.cfg.Zone))
	}
	return out
}

// serverFindings says what is right and what is not with the server of a database.
func serverFindings(cfg *config.Config, r store.ServerReport) (out findings) {
	const part = "store"
	fix := func(format string, args ...any) { out.add(levelFix, part, format, args...) }
	note := func(format string, args ...any) { out.add(levelNote, part, format, args...) }
	switch {
	case r.Standby:
		fix("the server is a standby, which cannot be written: name the primary, or several hosts and target_session_attrs=read-write")
	case r.ReadOnly:
		fix("default_transaction_read_only is on, so nothing can be written: ALTER ROLE or DATABASE … SET default_transaction_read_only = off")
	}
	if !r.Fsync {
		fix("fsync is off: a crash of the server's machine may damage the database, and texts are sent twice; write fsync = on")
	}
	if !r.FullPageWrites {
		fix("full_page_writes is off: a crash of the server's machine may damage the database; write full_page_writes = on")
	}
	out = append(out, standbyFindings(r)...)
	switch {
	case r.NoRight != "":
		fix("the role may not read and write the table %s: GRANT ALL ON ALL TABLES IN SCHEMA … TO it, or let it own the database", r.NoRight)
	case !r.MayCreate:
		fix("the role may not make tables, as the first start and upgrades do: GRANT CREATE ON SCHEMA … TO it, or let it own the database")
	case r.NotOwned != "":
		note("the table %s is another role's, so an upgrade cannot change it: ALTER TABLE … OWNER TO the role", r.NotOwned)
	}
	if left := r.MostConnections - r.Connections; left < neededConnections {
		fix("only %s of the server's %d are left, and duewatch needs up to %d: raise max_connections, or use a pooler",
			countOf(left, "connection"), r.MostConnections, neededConnections)
	}
	for _, l := range r.Long {
		note("a transaction of process %d (application %q) has been open for %s; as long as it is, the tables grow: end it, "+
			"or SELECT pg_terminate_backend(%[1]d)", l.Pid, l.Application, l.For)
	}
	switch apart := r.ClockAhead.Abs() - r.ClockWithin; {
	case apart > clocksApartFix:
		fix("the clock of the server and that of this machine are %s apart: let both follow NTP", r.ClockAhead.Abs().Round(100*time.Millisecond))
	case apart > clocksApartNote:
		note("the clock of the server and that of this machine are %s apart: do both follow NTP?", r.ClockAhead.Abs().Round(100*time.Millisecond))
	}
	if r.Pooler && !r.KeepsStatements {
		fix("a pooler stands before the server and keeps no prepared statements: add default_query_exec_mode=exec to the address, " +
			"or set max_prepared_statements in PgBouncer 1.21 or later")
	}
	if slices.ContainsFunc(out, func(f finding) bool { return f.Level == levelFix }) {
		return out
	}
	pooler := ""
	if r.Pooler {
		pooler = ", through a pooler"
	}
	return append(found(levelOK, part, "%s is on PostgreSQL %s%s, and has %s", cfg.Store, r.Version, pooler, sizeOf(r.Bytes)), out...)
}

// standbyFindings says whether a server that takes the place of this one will have all commits, and
// what it costs when it does not.
func standbyFindings(r store.ServerReport) (out findings) {
	fix := func(format string, args ...any) { out.add(levelFix, "store", format, args...) }
	note := func(text string) { out.add(levelNote, "store", "%s", text) }
	const cost = "when the server is lost, what takes its place lacks the latest texts, opt-outs and pauses; sending then stops " +
		"as store_went_back until you have released it, and what was entered last has to be entered again"
	switch {
	case r.Standby: // it says nothing of the primary's
	case r.SynchronousCommit == "off":
		fix("synchronous_commit is off: a crash of the server forgets the texts of the last moments, and they are sent a second time; " +
			"ALTER ROLE … SET synchronous_commit = on")
	case r.SynchronousWith == "" && r.Standbys == 0:
		note("there is no standby: " + cost + "; docs/operations.md, Losing the primary, says how to have one")
	case r.SynchronousWith == "":
		note("no commit waits for a standby: " + cost + "; set synchronous_standby_names")
	case r.SynchronousCommit == "local":
		note("synchronous_commit is local, so no commit waits for a standby: " + cost + "; ALTER ROLE … SET synchronous_commit = on")
	case r.Standbys == 0, r.Confirming == 0:
		fix("commits wait for a standby, as synchronous_standby_names %q has it, and none of that name is connected: nothing "+
			"can be written, and nothing is sent; start the standby, or empty that setting and SELECT pg_reload_conf()", r.SynchronousWith)
	}
	if len(r.Writable) > 1 {
		fix("%s can all be written, and only one may be: a former primary came back beside the server that took its place; "+
			"stop it, and make it a standby (pg_rewind, or a new base backup)", strings.Join(r.Writable, " and "))
	}
	if !r.KnowsTimeline && !r.Standby {
		note("the server does not say which timeline it is on (pg_walfile_name): a failover while no daemon runs is not noticed, " +
			"and two servers that can be written are not told apart")
	}
	return out
}
