package scheduler

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is how long ago the machine was started. It goes on while the machine is
// suspended, and nobody can set it.
func Uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // never on a Linux of this century
	}
	return time.Duration(t.Nano())
}
