// Package systemd is the unit file that this binary was built with, so that an
// installed one can be held against it. What systemd itself reads is
// duewatch.service, put in place by make install.
package systemd

import (
	_ "embed" // the unit
	"path"
	"slices"
	"strings"
)

//go:embed duewatch.service
var unit string

// The paths of the unit that make install may write anew.
const (
	binary = "/usr/local/bin/duewatch"
	folder = "/etc/duewatch/"
)

// Differing names the settings in which an installed unit file is not the one
// that this binary was built with, in the order of the latter. Comments count
// for nothing, and neither do other places of the binary and of the config.
func Differing(installed string) (keys []string) {
	theirs, ours := settings(installed), settings(placedLike(installed))
	add := func(some, others []string) {
		for _, s := range some {
			section, setting, _ := strings.Cut(s, " ")
			key, _, _ := strings.Cut(setting, "=")
			if key = section + key + "="; !slices.Contains(others, s) && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	add(ours, theirs)
	add(theirs, ours)
	return keys
}

// settings are the lines that count, each behind its section.
func settings(text string) (all []string) {
	section := ""
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = line
		default:
			all = append(all, section+" "+line)
		}
	}
	return all
}

// placedLike is our unit with the places of an installed one in it.
func placedLike(installed string) string {
	for line := range strings.Lines(installed) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if words := strings.Fields(command); ok && len(words) == 4 && words[2] == "--config" {
			return strings.NewReplacer(binary, words[0], folder, path.Dir(words[3])+"/").Replace(unit)
		}
	}
	return unit
}
