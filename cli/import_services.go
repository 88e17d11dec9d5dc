package cli

import (
	"fmt"
	"maps"
	"slices"

	"duewatch/config"
	"duewatch/reminder"
)

// maxUnknownServices bounds how many ids are named: a file whose columns are mixed up
// has another one in each row.
const maxUnknownServices = 20

// configuredServices are the services that the config names: under services:, and as
// those of its bills.
func configuredServices(cfg *config.Config) map[string]bool {
	all := map[string]bool{}
	for id := range cfg.Policies.ByService {
		all[id] = true
	}
	for _, b := range cfg.Bills {
		all[b.Service] = true
	}
	return all
}

// unknownServices counts the rows of services that the config does not name. They are
// imported, since an entry is not needed; but an id that is mistyped is found only when
// Almara Pay rejects each of its bills.
type unknownServices struct {
	rows map[string]int // by id
	more int            // rows of further ids
}

func (u *unknownServices) add(id string) {
	if u.rows == nil {
		u.rows = map[string]int{}
	}
	if _, named := u.rows[id]; !named && len(u.rows) == maxUnknownServices {
		u.more++
		return
	}
	u.rows[id]++
}

// shown are the rows by id. A phone that stands in the place of an id is masked.
func (u *unknownServices) shown(country string) map[string]int {
	all := map[string]int{}
	for id, rows := range u.rows {
		if p, err := reminder.ParsePhone(id, country); err == nil {
			id = p.String()
		}
		all[id] += rows
	}
	return all
}

// warnings are one line for each id.
func (u *unknownServices) warnings(country, configPath string) []string {
	var all []string
	rows := u.shown(country)
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, fmt.Sprintf("warning: service %s is nowhere in %s, so that its texts do not name it: %s; "+
			"duewatch services lists the ids", id, configPath, countOf(rows[id], "row")))
	}
	if u.more > 0 {
		all = append(all, fmt.Sprintf("warning: %s more are of further such services: are the columns right?", countOf(u.more, "row")))
	}
	return all
}
