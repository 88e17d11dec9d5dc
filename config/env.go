package config

import (
	"strings"
)

// envPrefix starts the name of each environment variable that is a key, and
// envLevel stands between the levels of its path.
const (
	envPrefix = "DUEWATCH_"
	envLevel  = "__"
)

// variable is the key that an environment variable sets, as a transform for
// koanf's env provider; "" when it sets none, which is a problem.
func (d *document) variable(name, value string) (string, any) {
	at := place{env: name}
	bare := strings.TrimPrefix(name, envPrefix)
	names := strings.Split(strings.ToLower(bare), envLevel)
	if upper := strings.ToUpper(name); upper != name {
		d.problems.add(at, "", "is not in capitals: write %s", upper)
		return "", nil
	}
	k := schema
	for i, n := range names {
		child, known := k.child(n)
		if !known {
			hint, _ := strings.CutSuffix(suggestion(k, n), "?")
			d.problems.add(at, "", "no such key%s; %sNOTIFIER%sMODE is notifier.mode", hint, envPrefix, envLevel)
			return "", nil
		}
		k = child
		if k.shape == entries {
			d.problems.add(at, join(names[:i+1]...), "cannot be set from the environment: write it in the config file")
			return "", nil
		}
	}
	path := join(names...)
	switch k.shape {
	case scalar:
		d.places[path] = at
		return path, value
	case list:
		d.places[path] = at
		return path, commaSeparated(value)
	default:
		d.problems.add(at, path, "is a group of keys: name one of them, as in %s%sKEY", name, envLevel)
		return "", nil
	}
}

func commaSeparated(s string) []string {
	if strings.TrimSpace(s) == "" {
		return []string{}
	}
	items := strings.Split(s, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}
