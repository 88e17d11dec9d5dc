package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// postgres is the engine of a store that is a database of a PostgreSQL server.
//
// Nothing that it sets outlives a transaction, so a pooler in transaction mode may stand
// between. All transactions that write take turns by the row lock of write_lock, as they
// do on SQLite, those of all daemons and commands: what one of them has read stays true
// until it commits.
type postgres struct {
	owner string // of the daemon's row in daemons; "" in a command

	// commits is how many transactions of this daemon there were: the number of the last
	// one stands in its row.
	commits atomic.Int64

	mu        sync.Mutex
	lostSince time.Time // since when there is no connection; zero = there is one
	lostBy    error
	returns   int64 // how often there was one again

	apart     *sql.DB // for the lease, and to ask what became of a commit
	renewing  sync.Mutex
	renewedAt time.Time // the lease, by OthersWrote, which holds renewing

	confirmed   atomic.Pointer[timeline] // that this daemon may write on; nil = none yet
	newest      atomic.Pointer[timeline] // that was seen; nil = none yet
	synchronous atomic.Bool              // commits wait for a standby, as of the last lease

	clockAhead atomic.Int64 // of the server, in nanoseconds
	decides    atomic.Bool  // by Decide; another may displace it
	anyDead    atomic.Bool  // there is a daemon whose lease has run out

	step      func()        // of Stepping
	giveUp    chan struct{} // closed when nobody waits for a connection any more; nil in a command, which does not wait
	ended     chan struct{} // closed when the daemon can work on the store no more
	endedBy   error         // why, once it is closed
	stop, end sync.Once     // close them
}

// planSettings hold for one transaction. The plan is the one that the statements were written
// for, whatever statistics there are: each finds its rows by an index, and those of a young
// table mislead the planner (a hundred thousand rows later). So a statement is planned once
// for all values, and by the rows that it reads alone: pages cost nothing, since what is
// known of their number is old, and rows cost much.
var planSettings = []struct{ name, value string }{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"enable_material", "off"},
	{"jit", "off"},
	{"max_parallel_workers_per_gather", "0"},
	{"seq_page_cost", "0"},
	{"random_page_cost", "0"},
	{"cpu_tuple_cost", "1"},
	{"cpu_index_tuple_cost", "1"},
}

// settings begin a transaction. SET LOCAL costs the server an eighth of what set_config would in the
// same message, where it would be planned each time.
var settings = func() (text string) {
	for _, s := range planSettings {
		text += fmt.Sprintf("SET LOCAL %s = %s; ", s.name, s.value)
	}
	return text
}()

// A transaction that this process has abandoned, in a network that is cut or while it is
// stopped, ends by itself. One that writes keeps all others waiting.
var (
	readSettings  = settings + "SET LOCAL idle_in_transaction_session_timeout = '10min'; "
	writeSettings = settings + "SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s'; "
)

// leaseFor is for how long a daemon that is not heard of keeps the store.
const leaseFor = 30 * time.Second

// serverNow is the server's clock in milliseconds, by which leases are measured: those of
// several machines differ.
const serverNow = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

func (*postgres) text(query string) string { return postgresText(query) }

var (
	// errStatementFailed means that a statement of the transaction had failed, and that
	// whoever ran it went on.
	errStatementFailed = errors.New("a statement of the transaction had failed before it was to be committed")
	errWarned          = errors.New("the server warned that the change may not have reached its standby")
)

// args has flags as numbers, which they are in both schemas, and text as the server takes it.
func (*postgres) args(args []any) []any {
	for i, a := range args {
		switch a := a.(type) {
		case bool:
			args[i] = 0
			if a {
				args[i] = 1
			}
		case string:
			args[i] = storable(a)
		}
	}
	return args
}

// stepping is the key of a function in a context.
type stepping struct{}

// Stepping is for tests: it has step called before each transaction of a database that a daemon opens by
// the context, so that a simulation of several daemons has them take their turns in an order of its own.
func Stepping(ctx context.Context, step func()) context.Context {
	return context.WithValue(ctx, stepping{}, step)
}

func (p *postgres) begin(ctx context.Context, pool *sql.DB, kind txKind) (*sql.Conn, error) {
	return p.untilThere(ctx, func() (*sql.Conn, error) { return p.tryBegin(ctx, pool, kind) })
}

// untilThere tries again for as long as there is no connection, and nothing was done.
func (p *postgres) untilThere(ctx context.Context, try func() (*sql.Conn, error)) (*sql.Conn, error) {
	if p.step != nil {
		p.step()
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		conn, err := try()
		again := isUndone(err) && ctx.Err() == nil
		p.noteConnection(again, err)
		if err == nil || p.giveUp == nil || !again {
			return conn, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		case <-p.giveUp:
			return nil, err
		}
	}
}

func (p *postgres) tryBegin(ctx context.Context, pool *sql.DB, kind txKind) (*sql.Conn, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, explain(err)
	}
	// One message to the server, without arguments, which it takes as several statements.
	var text string
	switch kind {
	case reading:
		text = "BEGIN READ ONLY; " + readSettings
	case atOneInstant:
		text = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " + readSettings
	case writing:
		text = "BEGIN; " + writeSettings
		if p.owner == "" { // a command: the daemon notices that there was one
			text += "UPDATE write_lock SET commands = commands + 1"
		} else {
			text += fmt.Sprintf(`SELECT id FROM write_lock FOR UPDATE;
				UPDATE daemons SET commits = commits + 1, seen_at = %[1]s, until_at = %[1]s + %[2]d
				WHERE owner = '%[3]s' AND commits = %[4]d AND decides = 1 AND %[5]s`,
				serverNow, leaseFor.Milliseconds(), p.owner, p.commits.Load(), p.condition())
		}
	}
	r, err := conn.ExecContext(ctx, text)
	if err != nil {
		return nil, errors.Join(explain(err), conn.Close())
	}
	if n, err := r.RowsAffected(); kind == writing && (err != nil || n != 1) {
		lost, missing := p.missingRow(ctx, conn)
		_, rollback := conn.ExecContext(ctx, "ROLLBACK")
		err = errors.Join(missing, err, rollback, conn.Close())
		// What is to be done about it takes the lock of that transaction.
		switch {
		case errors.Is(missing, errUnconfirmed):
			if why := p.confirm(ctx); why != nil {
				err = why
			}
		case errors.Is(missing, ErrSuperseded), errors.Is(missing, ErrDisplaced), errors.Is(missing, ErrWentBack):
			err = p.endWork(missing, lost)
		}
		return nil, err
	}
	return conn, nil
}

// missingRow is why there was no row to begin a write by. A daemon that finds its own with
// another number of commits has another server before it, or a restored one, which does not
// know what was texted last; lost is how many commits of its own are missing.
func (p *postgres) missingRow(ctx context.Context, conn *sql.Conn) (lost int64, why error) {
	if p.owner == "" {
		return 0, errForeignTables
	}
	var known, decides bool
	if err := conn.QueryRowContext(ctx, "SELECT "+p.condition()).Scan(&known); err != nil {
		return 0, explain(err)
	} else if !known {
		return 0, errUnconfirmed
	}
	var commits int64
	switch err := conn.QueryRowContext(ctx, "SELECT commits, decides FROM daemons WHERE owner = $1", p.owner).Scan(&commits, &decides); {
	case errors.Is(err, sql.ErrNoRows):
		return 0, ErrSuperseded
	case err != nil:
		return 0, explain(err)
	case commits == p.commits.Load() && !decides:
		return 0, ErrDisplaced
	case commits > p.commits.Load(): // of which it gave up asking, since it ends
		return 0, errEndUnknown
	}
	return p.commits.Load() - commits, ErrWentBack
}

// stopWaiting fails what waits for a connection.
func (p *postgres) stopWaiting() {
	if p.giveUp != nil {
		p.stop.Do(func() { close(p.giveUp) })
	}
}

// How long a daemon that is to end waits for a lost connection, so that it may write down
// what became of its last texts.
const waitAtEnd = 10 * time.Second

// openServerDaemon opens a database for the daemon. Once ctx has ended, nobody waits for a
// lost connection for long.
func openServerDaemon(ctx context.Context, address string, schema Schema, exclusively bool) (_ *DB, err error) {
	p := &postgres{owner: rand.Text(), giveUp: make(chan struct{}), ended: make(chan struct{})}
	p.step, _ = ctx.Value(stepping{}).(func())
	d := &DB{engine: p, owner: p.owner}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	p.lookAround(ctx, address)
	write, err := p.connect(address)
	if err != nil {
		return nil, err
	}
	d.write = startWriter(p, write)
	if d.read, err = p.connectToRead(address); err != nil {
		return nil, err
	}
	if p.apart, err = p.connect(address); err != nil {
		return nil, err
	}
	stopAtEnd := context.AfterFunc(ctx, func() { time.AfterFunc(waitAtEnd, p.stopWaiting) })
	d.releaseLock = func() {
		stopAtEnd()
		p.giveUpLease()
		_ = p.apart.Close()
	}
	if err := p.prepare(ctx, write, schema, exclusively); err != nil {
		return nil, notOpened(address, err)
	}
	return d, nil
}

// prepare brings the database up to date, and enters this daemon.
func (p *postgres) prepare(ctx context.Context, pool *sql.DB, schema Schema, exclusively bool) error {
	if err := waitForServer(ctx, pool); err != nil {
		return err
	}
	if err := checkServer(ctx, pool, true); err != nil {
		return err
	}
	switch err := schema.ours(ctx, pool); {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	default:
		if err := p.makeRoom(ctx, pool, schema); err != nil {
			return err
		}
	}
	if err := schema.migrateServer(ctx, pool); err != nil {
		return err
	}
	if err := p.join(ctx, pool, schema, exclusively); err != nil {
		return err
	}
	if err := p.confirmAtStart(ctx); err != nil {
		return err
	}
	return p.renewLease(ctx) // and so the clocks are compared before anything is decided
}

// waitForServer waits for a server that starts, or has no connection left, for half a minute.
func waitForServer(ctx context.Context, pool *sql.DB) error {
	const most = 30 * time.Second
	began := time.Now()
	for {
		err := explain(pool.PingContext(ctx))
		if err == nil {
			return nil
		}
		if !isUndone(err) || time.Since(began) > most {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

// openServer opens a database for a command.
func openServer(ctx context.Context, address string, schema Schema, writes bool) (*DB, error) {
	p := new(postgres)
	p.lookAround(ctx, address)
	read, err := p.connectToRead(address)
	if err != nil {
		return nil, err
	}
	d := &DB{engine: p, read: read}
	if err = checkServer(ctx, read, writes); err == nil {
		err = schema.checkServer(ctx, read)
	}
	if err != nil {
		return nil, errors.Join(notOpened(address, err), d.Close())
	}
	if writes {
		write, err := p.connect(address)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.write = startWriter(p, write)
	}
	return d, nil
}

// ErrNoBackup says how a database is backed up: by the means of its server, which can give
// back any instant, and do not take all of it through duewatch.
var ErrNoBackup = errors.New("the store is a PostgreSQL database: back it up by pg_dump --format=custom, " +
	"or by base backups and an archive of its log (point-in-time recovery)")
