package main

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may let a sleeping thread of the router
// wake up. Sockets wake it at once; the data plane's own times are 100 ms.
const timerSlack = time.Millisecond

// slackenTimers starts the process anew with timerSlack, if it has less. Go's
// monitor thread sleeps for 20 µs at a time whenever the router is neither idle
// nor busy, which is a fifth of its CPU time; it inherits its slack from the
// thread that execs, and cannot be told later without privileges
// (PR_SET_TIMERSLACK, prctl(2)). systemd's TimerSlackNSec= spares the exec.
func slackenTimers() {
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(now) >= timerSlack {
		return
	}
	exe, err := os.Executable()
	if err != nil {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) == nil {
		_ = syscall.Exec(exe, os.Args, os.Environ()) // if it fails, all is as before
	}
}
