package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/sandbox"
)

// What monitors see: /healthz and /metrics.
func TestDaemonIsWatched(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A", "DUE+3-PAID-B", "REJECT-C")
	d := o.start()
	d.await("text accepted", "DUE+3-A")
	d.await("reminder skipped", "DUE+3-PAID-B")
	d.awaitPasses(2)
	// A text may be out before the pass that learned of its bill has ended.
	o.poll("the end of the first passes", func() bool {
		ran := func(job string) bool {
			n := o.metric(`duewatch_job_runs_total{job_name="` + job + `",result="ok"}`)
			return n != "" && n != "0"
		}
		return ran("register") && ran("housekeeping")
	})

	status, body := o.get("/healthz")
	var health struct {
		Alive    bool
		Problems []string
		Jobs     []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(body), &health); err != nil {
		t.Fatalf("/healthz answers %s: %v", body, err)
	}
	if status != 200 || !health.Alive || health.Problems == nil || len(health.Problems) != 0 || len(health.Jobs) != 5 {
		t.Errorf("/healthz answers %d %s", status, body)
	}

	for _, series := range []string{
		`duewatch_texts_total{state="accepted"}`,
		`duewatch_reminders_total{outcome="texted",reason="`,
		`duewatch_reminders_total{outcome="skipped",reason="paid"}`,
		`duewatch_job_runs_total{job_name="register",result="ok"}`,
		`duewatch_job_runs_total{job_name="housekeeping",result="ok"}`,
		`duewatch_job_seconds_count{job_name="remind"}`,
		`duewatch_api_calls_total{api="almara",operation="register",outcome="`,
		`duewatch_api_calls_total{api="twilio",operation="send",outcome="accepted"}`,
		`duewatch_api_call_seconds_count{api="twilio",operation="send"}`,
		`duewatch_text_late_seconds_count`,
		`duewatch_texts_in_doubt 0`,
		`duewatch_oldest_text_in_doubt_seconds 0`,
		`go_goroutines`,
		`process_resident_memory_bytes`,
	} {
		if _, metrics := o.get("/metrics"); !strings.Contains(metrics, "\n"+series) {
			t.Errorf("/metrics has no %s", series)
		}
	}
	// The version is that of the package, also where Go knows of no commit.
	_, metrics := o.get("/metrics")
	if !regexp.MustCompile(`(?m)^duewatch_build_info\{goversion="go[^"]+",version="\d+\.\d+\.\d+(-dev)?"\} 1$`).MatchString(metrics) {
		t.Error("/metrics has no duewatch_build_info with the version")
	}
	if n := o.metric(`duewatch_texts_total{state="accepted"}`); n != "1" {
		t.Errorf("%s texts were counted as accepted", n)
	}
	if _, metrics := o.get("/metrics"); strings.Contains(metrics, "71000000") || strings.Contains(metrics, "DUE+3") {
		t.Error("a phone or an account is in the metrics")
	}
	d.stop()
}

// A health address that is taken is an error that names the setting.
func TestDaemonWithoutItsPort(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	l, err := net.Listen("tcp", "127.0.0.1:"+o.port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := o.start()
	d.await("duewatch: web.listen: another program listens there", "address already in use")
	if status := d.awaitEnd(); status != 1 {
		t.Errorf("it ended with status %d", status)
	}
}

// notified is a socket as systemd's, and what the daemon says on it.
func notified(t *testing.T) (env string, said <-chan string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "nd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	words := make(chan string, 1000)
	go func() {
		defer close(words)
		for buf := make([]byte, 1000); ; {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			words <- string(buf[:n])
		}
	}()
	return "NOTIFY_SOCKET=" + path, words
}

// awaitWord returns what was said before the word.
func awaitWord(t *testing.T, said <-chan string, want string) (before []string) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case word := <-said:
			if strings.HasPrefix(word, want) {
				return before
			}
			before = append(before, word)
		case <-deadline:
			t.Fatalf("systemd was not sent %s, only %q", want, before)
		}
	}
}

// wordsSoFar returns what has been said and not been awaited.
func wordsSoFar(t *testing.T, env string, said <-chan string) []string {
	t.Helper()
	c, err := net.Dial("unixgram", strings.TrimPrefix(env, "NOTIFY_SOCKET="))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const mark = "the test's own mark"
	if _, err := c.Write([]byte(mark)); err != nil {
		t.Fatal(err)
	}
	return awaitWord(t, said, mark)
}

// What systemd is sent, and when.
func TestDaemonTellsSystemd(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	env, said := notified(t)
	d := o.start(env, "WATCHDOG_USEC=300000")
	// The watchdog may be fed before, and the status said: systemd counts from READY on.
	for _, word := range awaitWord(t, said, "READY=1") {
		if word != "WATCHDOG=1" && !strings.HasPrefix(word, "STATUS=") {
			t.Errorf("before it was ready it said %q", word)
		}
	}
	for range 3 {
		awaitWord(t, said, "WATCHDOG=1")
	}
	d.await("text accepted")
	d.signal(syscall.SIGHUP) // which says anew how it is
	awaitWord(t, said, "STATUS=mode live; 1 bill; next reminder due ")
	d.signal(syscall.SIGTERM)
	awaitWord(t, said, "STOPPING=1")
	if status := d.awaitEnd(); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}

// The outside service is called from the start on, and after a reload too.
func TestDaemonCallsItsHeartbeat(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	calls := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { calls <- r.URL.Path }))
	defer server.Close()
	await := func() {
		t.Helper()
		select {
		case path := <-calls:
			if path != "/s3cr3t-beat" {
				t.Errorf("it called %s", path)
			}
		case <-time.After(patience):
			t.Fatal("no heartbeat came")
		}
	}
	d := o.start("DUEWATCH_ALERTS__HEARTBEAT_URL=" + server.URL + "/s3cr3t-beat")
	await()
	d.await("text accepted")
	d.signal(syscall.SIGHUP)
	await()
	d.stop()
	if d.said("s3cr3t") {
		t.Error("the log has the secret of the heartbeat")
	}
}

// A stop that waits for an answer is announced when it begins: systemd, and
// whoever reads the log, must not take the silence for a hang.
func TestDaemonAnnouncesItsStop(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	env, said := notified(t)
	o.hold(sandbox.Send, true)
	d := o.start(env)
	o.awaitHolding(1)
	d.signal(syscall.SIGTERM)
	awaitWord(t, said, "STOPPING=1")
	d.await("INF stopping")
	o.sandbox.ClearFaults()
	if status := d.awaitEnd(); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
	o.wantText("DUE+3-A", "accepted")
}

// READY means that the daemon can be watched, and nobody is texted before: one
// whose port is taken says nothing and does nothing.
func TestDaemonIsReadyOnlyWhenItListens(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	l, err := net.Listen("tcp", "127.0.0.1:"+o.port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env, said := notified(t)
	d := o.start(env)
	d.awaitEnd()
	if words := wordsSoFar(t, env, said); len(words) > 0 {
		t.Errorf("it said %q", words)
	}
	if d.said("is up") || d.said("bills declared") {
		t.Error("it said that it was up")
	}
	if calls := o.sandbox.Calls(); calls[sandbox.Register] != 0 || calls[sandbox.Send] != 0 {
		t.Errorf("it made calls: %v", calls)
	}
}

// A full disk stops the texts, not the daemon, and nobody is texted whose intent
// could not be written. Space that comes back mends it.
func TestDaemonOnAFullDisk(t *testing.T) {
	t.Parallel()
	// A small file system in a name space of the daemon's own: no root is needed.
	const small = "mount -t tmpfs -o size=1m none /mnt"
	if out, err := exec.Command("unshare", "-rm", "sh", "-c", small).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be made here: %v %s", err, out)
	}
	o := newOutside(t, "DUE+3-A")
	config, err := os.ReadFile(o.path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o.write(regexp.MustCompile(`(?m)^store: .*$`).ReplaceAllString(string(config), "store: /mnt/duewatch.db"))
	o.hold(sandbox.Register, true)
	c := o.command("run")
	sh := exec.Command("unshare", "-rm", "sh", "-c", small+` && exec "$@"`, "sh", c.Path, "run", "--config", o.path("config.yaml"))
	sh.Dir, sh.Env = c.Dir, c.Env
	d := o.run(sh)
	o.awaitHolding(1)

	ballast := fmt.Sprintf("/proc/%d/root/mnt/ballast", d.cmd.Process.Pid)
	f, err := os.Create(ballast)
	if err != nil {
		t.Skipf("the daemon's file system cannot be reached: %v", err)
	}
	// To the last byte. Near its limit the kernel also refuses, now and then, what has room: each
	// CPU counts for itself.
	for refused := 0; refused < 50; {
		for _, block := range []int{4096, 1} {
			for err == nil {
				if _, err = f.Write(make([]byte, block)); err == nil {
					refused = 0
				}
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			err = nil
		}
		refused++
		<-time.After(time.Millisecond)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o.sandbox.ClearFaults()
	d.await("ERR", "the disk is full")
	o.poll("/healthz to say so", func() bool {
		status, body := o.get("/healthz")
		return status == 503 && strings.Contains(body, "the disk is full")
	})
	o.wantTexts(0)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	o.poll("/healthz to recover", func() bool { status, _ := o.get("/healthz"); return status == 200 })
	d.stop()
}

// A daemon whose clock nobody agrees with checks its bills and texts nobody, and
// says by how much it is off and what to do.
func TestDaemonWithAClockThatIsYearsOff(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A")
	o.ahead.Store(int64((2*365+3)*24*time.Hour + time.Minute))
	const off = "the clock is 2 years 3 days behind Almara Pay's; is it right?"
	d := o.start()
	d.await("ERR", "nobody vouches for the clock", off)
	d.await("bill registered", "DUE+3-A")
	o.poll("/healthz to say so", func() bool {
		status, body := o.get("/healthz")
		return status == 200 && strings.Contains(body, off+"; duewatch release --reason clock lets it go on")
	})
	if n := o.metric(`duewatch_sending_stopped{reason="clock"}`); n != "1" {
		t.Errorf("the metric of stops is %q", n)
	}
	if out, err := o.command("release").CombinedOutput(); err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), off) {
		t.Errorf("release: %v\n%s", err, out)
	}
	o.wantTexts(0)
	d.stop()

	if out, err := o.command("release", "--reason", "clock").CombinedOutput(); err != nil {
		t.Fatalf("release: %v\n%s", err, out)
	}
	d = o.start() // on the same machine: it need not be said again
	d.await("text accepted", "DUE+3-A")
	if status, body := o.get("/healthz"); status != 200 || strings.Contains(body, "is it right?") {
		t.Errorf("/healthz answers %d %s", status, body)
	}
	d.stop()
	o.wantTexts(1)
}

// In format json every line is an object, also those about what went wrong.
func TestDaemonLogsJSON(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "DUE+3-A", "REJECT-B")
	d := o.start("DUEWATCH_LOG__FORMAT=json")
	d.await("text accepted", "DUE+3-A")
	d.await("refuses this bill", "REJECT-B")
	o.write("remindres: {}\n")
	d.signal(syscall.SIGHUP)
	d.await("the new config cannot be used")
	d.stop()
	for _, line := range d.lines {
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			t.Errorf("the log says %q: %v", line, err)
		}
	}
}
