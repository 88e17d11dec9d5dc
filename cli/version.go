package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version of this source, by semver.org: the one place where it is
// written. The Makefile reads it from here for the packages, and a test keeps it equal to
// the topmost version of CHANGELOG.md. So a binary says the same version whether it came
// from make, from a package, from a tarball or from go install. Right after a release it
// becomes the next one with -dev behind it, such as 0.2.0-dev.
const release = "0.1.0"

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version, the commit where it is known, and which Go built it.",
		Example: "  duewatch version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				info, _ := debug.ReadBuildInfo()
				is := map[string]string{"version": release, "go": runtime.Version()}
				if commit := commitOf(info); commit != "" {
					is["commit"] = commit
				}
				return json.NewEncoder(a.stdout).Encode(is)
			}
			_, err := fmt.Fprintln(a.stdout, version())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// version is the version, the commit and the Go release, for people.
func version() string {
	info, _ := debug.ReadBuildInfo()
	said := "duewatch " + release
	if commit := commitOf(info); commit != "" {
		said += " (" + commit + ")"
	}
	return said + " " + runtime.Version()
}

// commitOf is the commit that the Go toolchain wrote into the binary, shortened, with
// "changed" behind it where files were changed since; "" where it knew of none.
func commitOf(info *debug.BuildInfo) (commit string) {
	if info == nil {
		return ""
	}
	changed := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(len(s.Value), shortCommit)]
		case "vcs.modified":
			if s.Value == "true" {
				changed = ", changed"
			}
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}

// shortCommit is how many characters of a commit's hash are enough to find it.
const shortCommit = 12
