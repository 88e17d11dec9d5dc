package cli

import (
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

// The package, the changelog and the binary speak of the same version. A version with
// -dev behind it is not released yet, and stands above the topmost one.
func TestTheVersionIsTheTopmostOfTheChangelog(t *testing.T) {
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-dev)?$`).MatchString(release) {
		t.Fatalf("the version %q has another form than 1.2.3 or 1.2.3-dev", release)
	}
	topmost := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+)`).FindSubmatch(text)
	if released := !strings.HasSuffix(release, "-dev"); len(topmost) == 0 || (string(topmost[1]) == release) != released {
		t.Errorf("cli/version.go says %q, the topmost version of CHANGELOG.md is %q", release, topmost)
	}
}

func TestTheCommitIsShortAndSaysWhetherFilesWereChanged(t *testing.T) {
	setting := func(pairs ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{}
		for i := 0; i < len(pairs); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return info
	}
	const hash = "b1854bc0123456789abcdef0123456789abcdef0"
	for name, tt := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"no build info":      {nil, ""},
		"no version control": {setting("vcs.modified", "true"), ""},
		"a clean tree":       {setting("vcs.revision", hash, "vcs.modified", "false"), "b1854bc01234"},
		"a changed tree":     {setting("vcs.modified", "true", "vcs.revision", hash), "b1854bc01234, changed"},
	} {
		if got := commitOf(tt.info); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
