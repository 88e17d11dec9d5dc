package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"duewatch/reminder"
)

// Alerts is who is told, without asking, how the daemon is doing.
type Alerts struct {
	HeartbeatURL Secret          // called each minute while all is in time; "" = nobody expects it
	URLs         []Secret        // service URLs
	DigestAt     *reminder.Clock // hour of the daily report; nil = there is none
}

func (c *checker) alerts(v view) Alerts {
	a := Alerts{
		HeartbeatURL: c.secret(v, wanted{"alerts.heartbeat_url", "alert_heartbeat_url", checkHeartbeat}),
		URLs:         c.alertURLs(v),
	}
	if s := v.text("alerts.digest_at"); s != "" {
		at, err := reminder.ParseClock(s)
		if err != nil {
			v.bad("alerts.digest_at", `%v, or "" for no daily report`, err)
		}
		a.DigestAt = &at
	}
	return a
}

// checkHeartbeat never repeats the URL: whoever knows it can keep the outside service
// quiet.
func checkHeartbeat(s string) error {
	const want = "write one such as https://hc-ping.com/your-id"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not a web address: " + want)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("would be called unencrypted: " + want)
	}
	return nil
}

// alertURLs reads the service URLs from the best of their sources: a credential or a
// file with one on each line, or the list.
func (c *checker) alertURLs(v view) []Secret {
	const key = "alerts.urls"
	seen := map[string]bool{}
	fault := func(s string) string {
		switch err := checkSecretText(s); {
		case err != nil:
			return "holds a space or a control character: write %20 for a space"
		case seen[s]:
			return "is there twice: remove one"
		}
		seen[s] = true
		if c.opts.CheckAlertURL != nil {
			if err := c.opts.CheckAlertURL(s); err != nil {
				return err.Error()
			}
		}
		return ""
	}
	lines, report, err := c.findSecret(v, wanted{key: key, credential: "alert_urls"})
	listed := v.list(key)
	switch {
	case err != nil:
		report("%v", err)
		return nil
	case lines == "":
		var urls []Secret
		v.each(key, func(item string) string {
			urls = append(urls, Secret(item))
			return fault(item)
		})
		return urls
	case len(listed) > 0 && v.text(key+"_file") != "":
		v.bad(key+"_file", "is set beside %s: keep one, best the file", key)
		return nil
	}
	var urls []Secret
	for i, line := range slices.Collect(strings.Lines(lines.Reveal())) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if why := fault(line); why != "" {
			report("line %d %s", i+1, why)
			return nil
		}
		urls = append(urls, Secret(line))
	}
	return urls
}
