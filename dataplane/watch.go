package dataplane

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"penstock/bpf"
)

// watcher learns at once when the other end of a socket leaves: a client that
// hung up before its first token, an engine that closed an idle connection.
// fasthttp and net/http find out only by the next read or write, which is too
// late for both (valyala/fasthttp#965, #1063).
//
// Every socket is registered once, edge-triggered and for EPOLLRDHUP alone, so
// that a request costs no system call here and arriving data wakes nobody.
type watcher struct {
	file *os.File // the epoll descriptor, itself parked in Go's poller
	epfd int

	mu      sync.Mutex
	gen     uint32
	watched map[int32]watchedPeer
	cookies map[uint64]int32 // the sockets' numbers by which the kernel's events name them; nil: it tells none
}

type watchedPeer struct {
	gen    uint32 // a closed descriptor's number is soon another socket's
	peer   leaver
	cookie uint64
}

// leaver is told, on the watcher's goroutine or that of the kernel's events,
// that its peer sent FIN or RST. It must not block, and may be told twice.
type leaver interface{ peerLeft(by witness) }

// witness is who found out first that a connection had ended.
type witness uint8

const (
	byKernel witness = iota // an event of a program in the kernel
	byEpoll                 // the watcher
	byPeek                  // a look before use
	byUse                   // a request that was given to it
	witnesses
)

var witnessNames = [witnesses]string{"kernel", "epoll", "peek", "use"}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating the epoll set of the watcher: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("creating the epoll set of the watcher: %w", err)
	}
	return &watcher{file: os.NewFile(uintptr(fd), "epoll"), epfd: fd, watched: make(map[int32]watchedPeer)}, nil
}

// add watches the socket fd for l until remove.
func (w *watcher) add(fd int, l leaver) error {
	w.mu.Lock()
	w.gen++
	gen, p := w.gen, watchedPeer{gen: w.gen, peer: l}
	if w.cookies != nil {
		if cookie, err := bpf.SocketCookie(fd); err == nil {
			p.cookie = cookie
			w.cookies[cookie] = int32(fd)
		}
	}
	w.watched[int32(fd)] = p
	w.mu.Unlock()
	ev := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(fd), Pad: int32(gen)}
	if err := unix.EpollCtl(w.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		w.remove(fd)
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// remove must come before the socket is closed. The kernel drops a closed
// socket from the set by itself.
func (w *watcher) remove(fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cookies != nil {
		delete(w.cookies, w.watched[int32(fd)].cookie)
	}
	delete(w.watched, int32(fd))
}

// hear lets events of the kernel name sockets. It must come before the first
// is added.
func (w *watcher) hear() { w.cookies = make(map[uint64]int32) }

// owns says whether a socket is one to an instance.
func (w *watcher) owns(cookie uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd, ok := w.cookies[cookie]
	if !ok {
		return false
	}
	_, ok = w.watched[fd].peer.(*engineConn)
	return ok
}

// left is told by the kernel that the peer of a socket left.
func (w *watcher) left(cookie uint64) {
	w.mu.Lock()
	p := watchedPeer{}
	if fd, ok := w.cookies[cookie]; ok {
		p = w.watched[fd]
	}
	w.mu.Unlock()
	if p.peer != nil {
		p.peer.peerLeft(byKernel)
	}
}

// run hands out events until close. It parks in Go's poller rather than in
// epoll_wait, so that it holds no thread.
func (w *watcher) run() {
	rc, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := rc.Read(func(fd uintptr) bool {
			n, err = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || (err != nil && err != unix.EINTR)
		})
		if err != nil || n < 0 {
			return // closed
		}
		for _, ev := range events[:n] {
			if l := w.find(ev.Fd, uint32(ev.Pad)); l != nil {
				l.peerLeft(byEpoll)
			}
		}
	}
}

func (w *watcher) find(fd int32, gen uint32) leaver {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p, ok := w.watched[fd]; ok && p.gen == gen {
		return p.peer
	}
	return nil
}

// close ends run.
func (w *watcher) close() { w.file.Close() }

// descriptor returns the number of c's socket. The number stays c's until c is
// closed; whoever keeps it must have an end before that.
func descriptor(c net.Conn) (int, error) {
	rc, err := rawConn(c)
	if err != nil {
		return -1, err
	}
	fd := -1
	err = rc.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

func rawConn(c net.Conn) (syscall.RawConn, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", c)
	}
	return sc.SyscallConn()
}
