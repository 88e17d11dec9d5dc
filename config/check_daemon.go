package config

import (
	"fmt"
	"net"
	"strconv"
)

// Bounds of how long history is kept: no stage of a due date may be forgotten
// while another is still to come.
const (
	minRetention = 90 * day
	minWords     = 7 * day
	maxRetention = 3650 * day
)

func (c *checker) schedule(v view) Schedule {
	job := func(name string) string {
		key := join("schedule", name)
		s := v.text(key)
		const want = `write minute, hour, day, month and weekday, such as "*/10 * * * *", or "@every 10m"`
		if s == "" {
			v.bad(key, "is empty: %s", want)
		} else if c.opts.CheckSchedule != nil {
			if err := c.opts.CheckSchedule(s); err != nil {
				v.bad(key, "%s is not a cron expression (%v): %s", shown(s), err, want)
			}
		}
		return s
	}
	return Schedule{
		Register:     job("register"),
		Recheck:      job("recheck"),
		Remind:       job("remind"),
		Receipts:     job("receipts"),
		Housekeeping: job("housekeeping"),
	}
}

// minToken is the length of the shortest token that may protect an address which other
// hosts can reach.
const minToken = 16

func checkToken(s string) error {
	if len(s) < minToken {
		return fmt.Errorf("is too short: use at least %d characters, such as openssl rand -hex 16 prints", minToken)
	}
	return nil
}

func (c *checker) web(v view) Web {
	w := Web{Listen: v.text("web.listen"), Token: c.secret(v, wanted{"web.token", "web_token", checkToken})}
	host, port, err := net.SplitHostPort(w.Listen)
	if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil {
		v.bad("web.listen", "%s is not host:port: write an address such as 127.0.0.1:8750", shown(w.Listen))
		return w
	}
	if !loopback(host) && !c.given(v, "web.token", w.Token) {
		v.bad("web.listen", "%s can be reached from other hosts, and no token protects it: "+
			"write 127.0.0.1:%s, or give the credential web_token or web.token_file", shown(w.Listen), port)
	}
	return w
}

func (c *checker) log(v view) Log {
	l := Log{Format: v.oneOf("log.format", LogText, LogJSON)}
	if level := v.oneOf("log.level", "debug", "info", "warn", "error"); level != "" {
		_ = l.Level.UnmarshalText([]byte(level)) // each of the four is one
	}
	return l
}
