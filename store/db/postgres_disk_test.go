package db

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"duewatch/store/db/pgtest"
)

// A small disk is full, and free again after a while. What was said to be written is there, once,
// and nothing else: whether the server has answered with an error, or has crashed for want of room
// for its log.
func TestAFullDiskOfTheServerLosesNothing(t *testing.T) {
	theServer(t)                                     // or there is none
	disk := must(os.MkdirTemp("", "duewatch-disk-")) // that of a test is closed to the server's user
	t.Cleanup(func() { mustDo(t, os.Remove(disk)) })
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=176m,mode=0755"); err != nil {
		t.Skipf("it needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() { mustDo(t, syscall.Unmount(disk, 0)) })
	server := must(pgtest.NewIn(disk, "wal_recycle=off", "min_wal_size=32MB", "max_wal_size=32MB"))
	t.Cleanup(func() { mustDo(t, server.Close()) })
	database := must(server.Create(t.Context(), "duewatch", ""))
	d := must(OpenDaemon(t.Context(), database, serverSchema))
	mustDo(t, d.Write(setMeta("before")))

	fill(t, filepath.Join(disk, "full"))
	said := map[string]bool{}
	var failed error
	for i := 0; i < 200 && failed == nil; i++ {
		key := fmt.Sprint("key ", i)
		done := make(chan error, 1)
		go func() {
			done <- d.Write(func(x *Tx) error {
				_, err := x.Exec("INSERT INTO meta (key, value) SELECT ?1, string_agg(md5(n || ?1), '') FROM generate_series(1, 20000) n", key)
				return err
			})
		}()
		select {
		case failed = <-done:
			said[key] = failed == nil
		case <-time.After(5 * time.Second): // the server is gone: it waits
			failed = errors.New("it waits for the server")
			mustDo(t, os.Remove(filepath.Join(disk, "full")))
			mustDo(t, server.Restart())
			said[key] = <-done == nil
		}
	}
	if failed == nil {
		t.Fatal("the disk was not full")
	}
	t.Log(failed)
	if err := os.Remove(filepath.Join(disk, "full")); err == nil && !strings.Contains(failed.Error(), "the disk of the database server is full") {
		t.Errorf("the operator is told %v", failed)
	}
	mustDo(t, d.Write(setMeta("after")))
	for key, written := range said {
		if there := rowsOf(t, database, key) == 1; there != written {
			t.Errorf("%s: said to be written: %v, and there: %v", key, written, there)
		}
	}
	mustDo(t, d.Close())
}

// fill takes up what room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f := must(os.Create(path))
	block := make([]byte, 1<<16)
	for {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	mustDo(t, f.Close())
}
