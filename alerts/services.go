package alerts

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// service is what differs between the services of the library.
type service struct {
	host  bool // the host in its URL is a server's; elsewhere it may be a token
	title bool // it takes a title beside the message
	// asksAtOnce says that reading its URL already calls the server.
	asksAtOnce bool
}

// services are the schemes that are taken. Of the library's own only logger is left out,
// which tells nobody.
var services = map[string]service{
	"bark":       {host: true, title: true},
	"discord":    {title: true},
	"generic":    {host: true, title: true},
	"googlechat": {host: true},
	"gotify":     {host: true, title: true},
	"ifttt":      {title: true},
	"join":       {title: true},
	"lark":       {host: true, title: true},
	"matrix":     {host: true, title: true, asksAtOnce: true},
	"mattermost": {host: true},
	"notifiarr":  {},
	"ntfy":       {host: true, title: true},
	"opsgenie":   {host: true, title: true},
	"pagerduty":  {host: true},
	"pushbullet": {title: true},
	"pushover":   {title: true},
	"rocketchat": {host: true},
	"signal":     {host: true},
	"slack":      {title: true},
	"smtp":       {host: true, title: true},
	"teams":      {title: true},
	"telegram":   {title: true},
	"wecom":      {},
	"zulip":      {host: true},
}

// takesTitle reports whether the service shows a title. A webhook does only in JSON: as
// plain text it is the message alone.
func (s service) takesTitle(raw string) bool {
	u, err := url.Parse(raw)
	if err == nil && strings.HasPrefix(strings.ToLower(u.Scheme), "generic") {
		return u.Query().Get("template") != ""
	}
	return s.title
}

func serviceNames() string {
	return strings.Join(slices.Sorted(maps.Keys(services)), ", ")
}
