// Package systemd has the unit file that this binary was built with, to compare an
// installed one with it. What systemd itself reads is the copy of duewatch.service
// that make install puts in place.
package systemd

import (
	_ "embed" // the unit
	"path"
	"slices"
	"strings"
)

//go:embed duewatch.service
var unit string

// What the unit says of itself.
const (
	Service        = "duewatch.service"
	User           = "duewatch"
	StateDirectory = "/var/lib/duewatch" // where its store is
)

// The paths in the unit that make install may replace.
const (
	binary = "/usr/local/bin/duewatch"
	folder = "/etc/duewatch/"
)

// Differing names the settings in which an installed unit file differs from the one
// that this binary was built with, in the order of the latter. It ignores comments,
// and other paths of the binary and the config.
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

// settings lists the lines that are no comments, each after its section.
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

// placedLike is our unit with the paths of an installed one.
func placedLike(installed string) string {
	for line := range strings.Lines(installed) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if words := strings.Fields(command); ok && len(words) == 4 && words[2] == "--config" {
			return strings.NewReplacer(binary, words[0], folder, path.Dir(words[3])+"/").Replace(unit)
		}
	}
	return unit
}
