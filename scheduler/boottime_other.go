//go:build !linux

package scheduler

import "time"

var started = time.Now()

// Uptime counts from the start of the process where there is no CLOCK_BOOTTIME:
// a suspended machine may look like one whose clock was set.
func Uptime() time.Duration { return time.Since(started) }
