package config

import (
	"strings"

	"duewatch/importer"
)

// suggestion says which key of parent an unknown name was meant to be, with
// its leading comma or colon.
func suggestion(parent key, name string) string {
	if parent.shape == byLanguage {
		return ": write a language of two or three small letters, such as en"
	}
	if !importer.IsPlainName(name) {
		return ""
	}
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	best, least := "", 1+len(name)/3
	var names []string
	for _, k := range parent.keys {
		names = append(names, k.name)
		if d := distance(name, k.name); d <= least && (best == "" || d < least) {
			best, least = k.name, d
		}
	}
	if best != "" {
		return ", did you mean " + best + "?"
	}
	// The right key in the wrong place is usually an indent too few or too
	// many.
	for _, path := range paths("", schema) {
		if path == name || strings.HasSuffix(path, "."+name) {
			return ", did you mean " + path + "? Look at the indent"
		}
	}
	return ": write one of " + strings.Join(names, ", ")
}

// distance counts the letters to change, add, drop or swap to turn a into b.
func distance(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
