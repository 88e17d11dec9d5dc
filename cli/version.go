package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the tag or commit that this binary was built from, and by which Go.",
		Example: "  duewatch version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				info, _ := debug.ReadBuildInfo()
				return json.NewEncoder(a.stdout).Encode(map[string]string{"version": tagOf(info), "go": runtime.Version()})
			}
			_, err := fmt.Fprintln(a.stdout, version())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// version is the version and the Go release, for people.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || tagOf(info) == "" {
		return "duewatch (unknown version)"
	}
	return "duewatch " + tagOf(info) + " " + info.GoVersion
}

// tagOf is what the Go toolchain wrote into the binary: the tag or commit it
// was built from; "" when it did not know.
func tagOf(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	return info.Main.Version
}
