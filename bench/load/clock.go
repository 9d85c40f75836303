package load

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// clock gives times since the run began, as they would be unscaled: it runs scale
// times as fast as the wall's. All but the waits below is in its time.
type clock struct {
	start time.Time
	scale float64
}

func (c clock) now() time.Duration { return time.Duration(float64(time.Since(c.start)) * c.scale) }

// until is how long at is away on the wall's clock.
func (c clock) until(at time.Duration) time.Duration { return c.real(at) - time.Since(c.start) }

// real saturates: what a Duration cannot hold is never.
func (c clock) real(d time.Duration) time.Duration {
	return time.Duration(min(float64(d)/c.scale, float64(never)))
}

const never = time.Duration(1 << 62)

// An idle Go program's timers are up to a millisecond late, 0.7 ms at the median,
// as epoll_wait takes whole milliseconds. The rest of a wait goes to the kernel's
// own timers: 0.08 ms late, 0.03 ms after punctual.
const (
	coarse = 1500 * time.Microsecond
	fine   = 20 * time.Microsecond // not worth a system call
)

// sleepUntil waits for at; false when ctx ended first.
func (c clock) sleepUntil(ctx context.Context, at time.Duration) bool {
	if wait := c.until(at) - coarse; wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
	}
	for wait := c.until(at); wait > fine; wait = c.until(at) {
		rest := unix.NsecToTimespec(int64(wait))
		_ = unix.Nanosleep(&rest, nil) // EINTR: the loop looks again
	}
	return ctx.Err() == nil
}

// punctual binds the goroutine to a thread for which the kernel does not round
// timers (https://man7.org/linux/man-pages/man2/PR_SET_TIMERSLACK.2const.html).
// The thread ends with the goroutine.
func punctual() {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}
