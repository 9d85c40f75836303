package main

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket is one descriptor of the loop, told when it can be read or written.
type socket interface {
	ready(events uint32)
}

// A timer is asked at least when it said it would be due. It does what is due
// at now and returns when it wants to be asked again; both in nanoseconds of
// the monotonic clock.
type timer interface {
	tick(now int64) (next int64)
}

// never is what a timer returns that has nothing to wait for.
const never = int64(1) << 62

// idleWait bounds how long the loop sleeps when nothing is due: how long a
// call from another goroutine may wait.
const idleWait = 2 * time.Millisecond

// loop owns all sockets of the load, on one locked thread. Only its own
// goroutine touches them; others use do.
type loop struct {
	ep      int
	sockets []socket // by descriptor
	timers  []timer
	calls   chan func()
	now     int64  // when the current turn began
	buf     []byte // what is read lands here, and is used up before the next read
}

func newLoop() (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating the epoll instance: %w", err)
	}
	return &loop{ep: ep, calls: make(chan func()), buf: make([]byte, 256<<10)}, nil
}

// run serves the sockets until stop is closed.
func (l *loop) run(stop <-chan struct{}) {
	runtime.LockOSThread()
	defer unix.Close(l.ep)
	var events [512]unix.EpollEvent
	for {
		n := l.wait(events[:], l.runTimers())
		l.now = monotonic()
		for _, e := range events[:n] {
			if s := l.sockets[e.Fd]; s != nil {
				s.ready(e.Events)
			}
		}
		select {
		case <-stop:
			return
		case f := <-l.calls:
			f()
		default:
		}
	}
}

// do runs f on the loop's goroutine and returns when it has run.
func (l *loop) do(f func()) {
	done := make(chan struct{})
	l.calls <- func() { f(); close(done) }
	<-done
}

func (l *loop) runTimers() time.Duration {
	l.now = monotonic()
	next := l.now + int64(idleWait)
	for _, t := range l.timers {
		next = min(next, t.tick(l.now))
	}
	return time.Duration(max(0, next-l.now))
}

// wait is epoll_pwait2: epoll_wait's milliseconds are too coarse to send 10,000
// events a second each at its own time.
func (l *loop) wait(events []unix.EpollEvent, timeout time.Duration) int {
	ts := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.ep), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno != 0 && errno != unix.EINTR {
		panic(fmt.Sprintf("epoll_pwait2: %v", errno))
	}
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (l *loop) add(fd int, s socket, events uint32) {
	for fd >= len(l.sockets) {
		l.sockets = append(l.sockets, make([]socket, 1024)...)
	}
	l.sockets[fd] = s
	l.control(unix.EPOLL_CTL_ADD, fd, events)
}

func (l *loop) modify(fd int, events uint32) { l.control(unix.EPOLL_CTL_MOD, fd, events) }

func (l *loop) close(fd int) {
	l.sockets[fd] = nil
	unix.Close(fd)
}

func (l *loop) control(op, fd int, events uint32) {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(l.ep, op, fd, &e); err != nil {
		panic(fmt.Sprintf("epoll_ctl(%d) of descriptor %d: %v", op, fd, err))
	}
}

// read reads into the shared buffer. again: nothing to read now; a nil slice
// without it: the peer closed or reset.
func (l *loop) read(fd int) (p []byte, again bool) {
	n, err := unix.Read(fd, l.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, true
	case err != nil || n == 0:
		return nil, false
	}
	return l.buf[:n], false
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
