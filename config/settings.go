package config

import (
	"maps"
	"slices"
	"strings"
)

// Layer is where the value of a setting was found. Of several the first wins:
// what a service's entry says, the environment, reminders: in the file, the
// default. A list replaces the whole list below it; each text of templates
// stands for itself.
type Layer string

// The layers of a key of reminders:.
const (
	LayerService     Layer = "service"
	LayerEnvironment Layer = "environment"
	LayerReminders   Layer = "reminders"
	LayerDefault     Layer = "default"
)

// Setting is one key of reminders: as it applies to the bills of a service.
type Setting struct {
	Key      string `json:"key"`   // send_at, templates.en.before
	Value    string `json:"value"` // as written; the items of a list with commas between them
	Layer    Layer  `json:"from"`
	Line     int    `json:"line,omitempty"`     // in the config file; 0 for the environment and defaults
	Variable string `json:"variable,omitempty"` // of the environment
}

// Settings lists every key of reminders: as it applies to the bills of a
// service, in the order of config.yaml, and then how a service that has an entry
// is paid.
func (c *Config) Settings(service string) []Setting {
	if own, ok := c.settings[service]; ok {
		return own
	}
	return c.settings[everyService]
}

// everyService stands for the services that have no entry; no entry has this
// id.
const everyService = ""

// settings reads the keys of reminders: through v, with where each came from.
func (c *checker) settings(v view) []Setting {
	var out []Setting
	add := func(key, value string) { out = append(out, c.setting(v, key, value)) }
	for _, k := range reminderKeys {
		switch k.shape {
		case list:
			add(k.name, strings.Join(v.list(k.name), ", "))
		case byLanguage:
			languages, _ := v.get(k.name).(map[string]any)
			for _, language := range slices.Sorted(maps.Keys(languages)) {
				for _, text := range k.keys {
					key := join(k.name, language, text.name)
					add(key, v.text(key))
				}
			}
		default:
			add(k.name, v.text(k.name))
		}
	}
	return out
}

// setting is a key that was read through v, with where its value came from.
func (c *checker) setting(v view, key, value string) Setting {
	s := Setting{Key: key, Value: value, Layer: LayerDefault}
	at, path := v.where(key)
	switch _, written := c.doc.places[path]; {
	case !written:
	case at.env != "":
		s.Layer, s.Variable = LayerEnvironment, at.env
	case strings.HasPrefix(path, "services["):
		s.Layer, s.Line = LayerService, at.line
	default:
		s.Layer, s.Line = LayerReminders, at.line
	}
	return s
}
