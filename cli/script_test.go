package cli_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a test waits for what must come. It is far longer than
// anything takes, so that a busy machine fails no test.
const patience = 2 * time.Minute

// raceOptions keeps a command that was built with -race from lingering for a
// second at its end.
const raceOptions = "atexit_sleep_ms=0"

// TestScript runs the sessions in testdata/script. Beside the commands of
// testscript they use
//
//	exits N command…          the command ends with status N
//	await [-count=N] RE FILE  waits until N lines of the file match, 1 if not said
//	narrow N stream           no line of stdout or stderr is wider than N columns
//	zip FOLDER FILE           makes a zip of a folder, as a workbook is one
//	post FILE AT PATH BODY RE  posts to the address that the file names behind AT; status
//	                          and body of the answer match
//
// It is about noon in them, and about 03:00 in the zone $NIGHT. $UNIT is the file
// of the systemd unit. A daemon writes
// its log into a file, for await:
//
//	exec sh -c 'exec duewatch run --sandbox 2>log' &daemon&
func TestScript(t *testing.T) {
	t.Parallel()
	noon, _ := noonZone()
	night, _ := zoneWhereItIs(3)
	unit, err := filepath.Abs("../systemd/duewatch.service")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(10 * patience), // of all scripts together, on a busy machine
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "await": await, "narrow": narrow, "zip": zipFolder, "post": post,
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, errors.New("no such condition: " + name)
			}
			return os.Geteuid() == 0, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("DUEWATCH_TIMEZONE", noon)
			e.Setenv("NIGHT", night)
			e.Setenv("UNIT", unit)
			e.Setenv("DUEWATCH_WEB__LISTEN", "127.0.0.1:0")
			e.Setenv("GORACE", raceOptions)
			return nil
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command [args…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v ended with status %d, not %d", args[1:], got, want)
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	count := 1
	if len(args) == 3 {
		n, err := strconv.Atoi(regexp.MustCompile(`^-count=`).ReplaceAllString(args[0], ""))
		ts.Check(err)
		count, args = n, args[1:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await [-count=N] regexp file")
	}
	re, path := regexp.MustCompile("(?m)"+args[0]), ts.MkAbs(args[1])
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		content, err := os.ReadFile(path)
		if !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
		if len(re.FindAll(content, -1)) >= count {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s does not say %q %d times:\n%s", args[1], args[0], count, content)
		}
	}
}

func narrow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: narrow columns stdout|stderr")
	}
	columns, err := strconv.Atoi(args[0])
	ts.Check(err)
	re := regexp.MustCompile(`(?m)^.{` + strconv.Itoa(columns+1) + `,}$`)
	for _, line := range re.FindAllString(ts.ReadFile(args[1]), -1) {
		ts.Logf("%3d columns: %s", len([]rune(line)), line)
	}
	if re.MatchString(ts.ReadFile(args[1])) {
		ts.Fatalf("these lines are wider than %d columns", columns)
	}
}

func zipFolder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: zip folder file")
	}
	file, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	w := zip.NewWriter(file)
	ts.Check(w.AddFS(os.DirFS(ts.MkAbs(args[0]))))
	ts.Check(w.Close())
	ts.Check(file.Close())
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: post file at path body regexp")
	}
	file, at, path, form, want := args[0], args[1], args[2], args[3], args[4]
	found := regexp.MustCompile(regexp.QuoteMeta(at) + `"?(http://[0-9.:]+)`).FindStringSubmatch(ts.ReadFile(file))
	if found == nil {
		ts.Fatalf("%s names no address behind %q", file, at)
	}
	client := http.Client{Timeout: patience}
	res, err := client.Post(found[1]+path, "application/x-www-form-urlencoded", strings.NewReader(form))
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if got := fmt.Sprintf("%d %s", res.StatusCode, body); !regexp.MustCompile(want).MatchString(got) {
		ts.Fatalf("%s answers %q, not %s", found[1]+path, got, want)
	}
}
