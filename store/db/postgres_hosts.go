package db

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// After a failover there may be two servers that can be written: the one that was promoted and
// the former primary, which came back. An address with several hosts leads to the first of them
// that can be written. Of two, the one on the later timeline is right, and the other is refused
// by whoever has seen that one: a daemon as long as it lives, and who opens the store where both
// can be reached. What can be seen from nowhere has to be fenced.

// noteNewest keeps the latest timeline that was seen.
func (p *postgres) noteNewest(t timeline) {
	for {
		newest := p.newest.Load()
		if newest != nil && !t.follows(*newest) && t.System == newest.System || p.newest.CompareAndSwap(newest, &t) {
			return
		}
	}
}

// refuseFormer is the check of a new connection: of the hosts of an address, none is taken that is
// on an earlier timeline than the latest that was seen.
func (p *postgres) refuseFormer(before pgconn.ValidateConnectFunc) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		if before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		newest := p.newest.Load()
		if newest == nil || newest.Number == 0 {
			return nil
		}
		now, err := timelineAt(ctx, conn)
		switch {
		case conn.IsClosed(): // a pooler lets in whom it cannot serve
			return err
		case err == nil && newest.follows(now):
			return errFormer
		}
		return nil
	}
}

var errNoTimeline = errors.New("the server has not told its timeline in one row")

// timelineAt is that of the server of a connection. An error means that it cannot be written, does not
// say, or was lost.
func timelineAt(ctx context.Context, conn *pgconn.PgConn) (timeline, error) {
	var failed error
	for _, query := range []string{timelineSQL, numberAloneSQL} {
		results, err := conn.Exec(ctx, query).ReadAll()
		if err == nil && len(results) == 1 && len(results[0].Rows) == 1 {
			row := results[0].Rows[0]
			return timelineOf(string(row[0]), string(row[1]))
		}
		failed = cmp.Or(failed, err, errNoTimeline)
	}
	return timeline{}, failed
}

// writableHost is a host of an address that can be written, and its timeline.
type writableHost struct {
	host string
	port uint16
	timeline
}

// writableHosts asks all hosts of an address that has several; none of one that has one.
func writableHosts(ctx context.Context, address string) []writableHost {
	config, err := pgx.ParseConfig(address)
	if err != nil || len(config.Fallbacks) == 0 {
		return nil // whoever connects says what is wrong
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	hosts := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	found := make([]*writableHost, len(hosts))
	var asking sync.WaitGroup
	for i, h := range hosts {
		if i > 0 && h.Host == hosts[i-1].Host && h.Port == hosts[i-1].Port {
			continue // the same without TLS, as sslmode=prefer has it
		}
		asking.Go(func() {
			one := config.Copy()
			one.Host, one.Port, one.TLSConfig, one.Fallbacks, one.ValidateConnect = h.Host, h.Port, h.TLSConfig, nil, nil
			conn, err := pgx.ConnectConfig(ctx, one)
			if err != nil {
				return // it is down, or none of ours: it is not written either
			}
			defer conn.Close(ctx) //nolint:errcheck // it was only read by
			if t, err := timelineAt(ctx, conn.PgConn()); err == nil {
				found[i] = &writableHost{h.Host, h.Port, t}
			}
		})
	}
	asking.Wait()
	var all []writableHost
	for _, f := range found {
		if f != nil {
			all = append(all, *f)
		}
	}
	return all
}

// lookAround finds the latest timeline among the hosts of an address.
func (p *postgres) lookAround(ctx context.Context, address string) {
	for _, h := range writableHosts(ctx, address) {
		p.noteNewest(h.timeline)
	}
}
