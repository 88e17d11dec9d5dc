package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// pgxConn is a connection of the driver.
type pgxConn = stdlib.Conn

// pgxOf is a connection of one of our pools, as sql.Conn.Raw has it.
func pgxOf(c any) *pgx.Conn { return c.(interface{ Conn() *pgx.Conn }).Conn() }

// connect opens a connection to the server, as a pool that has one.
func (p *postgres) connect(address string) (*sql.DB, error) {
	connector, err := p.connector(address)
	if err != nil {
		return nil, err
	}
	return newPool(connector, 1), nil
}

// connectToRead opens the pool that reads.
func (p *postgres) connectToRead(address string) (*sql.DB, error) {
	connector, err := p.connector(address)
	if err != nil {
		return nil, err
	}
	return newPool(readConnector{connector}, 4), nil
}

func newPool(connector driver.Connector, conns int) *sql.DB {
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool
}

// connector opens connections to the server.
func (p *postgres) connector(address string) (driver.Connector, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, wrongAddress(address, err)
	}
	config.RuntimeParams["application_name"] = "duewatch"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	config.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         endUnanswered,
	}).DialContext
	config.OnNotice = noteWarning
	config.ValidateConnect = p.refuseFormer(config.ValidateConnect)
	// A daemon with nothing to do asks something every second: it need not ask first whether the
	// server is there, as after a second it would by default.
	return stdlib.GetConnector(*config, stdlib.OptionShouldPing(func(_ context.Context, p stdlib.ShouldPingParams) bool {
		return p.IdleDuration > time.Minute
	})), nil
}

// endUnanswered has the kernel end a connection whose peer has not acknowledged anything
// for 15 s (TCP_USER_TIMEOUT): by default it would try for a quarter of an hour.
func endUnanswered(network, _ string, c syscall.RawConn) (err error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	const tcpUserTimeout = 18 // tcp(7)
	controlErr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, 15_000)
	})
	return errors.Join(controlErr, err)
}
