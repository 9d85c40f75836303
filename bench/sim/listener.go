package sim

import (
	"net"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// listener is one that can refuse for a while and then listen again on the same
// port, which stays its own meanwhile: shutting a listening socket down makes
// the kernel answer RST and leaves it bound, listen(2) undoes that. (A port that
// is closed may be gone when one wants it back: to an outgoing connection.)
type listener struct {
	*net.TCPListener

	mu       sync.Mutex
	reopened chan struct{} // closed when it accepts again; nil: it does
	closed   bool
}

const backlog = 4096

func listen(host string, port int) (*listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	return &listener{TCPListener: l.(*net.TCPListener)}, nil
}

// listenAnywhere takes a port that the kernel chose and asks for it by number: a
// socket that was bound to port 0 loses it when it is shut down (tcp_set_state).
func listenAnywhere(host string) (l *listener, err error) {
	for range 10 {
		if l, err = listen(host, 0); err != nil {
			return nil, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if l, err = listen(host, port); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// Accept waits while connections are refused: to its server, nothing happens.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.TCPListener.Accept()
		if err == nil {
			return conn, nil
		}
		l.mu.Lock()
		reopened, closed := l.reopened, l.closed
		l.mu.Unlock()
		if closed || reopened == nil {
			return nil, err
		}
		<-reopened
	}
}

// Refuse turns new connections away, those in the backlog too.
func (l *listener) Refuse() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.reopened != nil {
		return nil
	}
	l.reopened = make(chan struct{})
	return l.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) })
}

// Resume ends what Refuse began.
func (l *listener) Resume() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.reopened == nil {
		return nil
	}
	err := l.control(func(fd int) error { return unix.Listen(fd, backlog) })
	close(l.reopened)
	l.reopened = nil
	return err
}

// Close may be called twice.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.reopened != nil {
		close(l.reopened)
	}
	return l.TCPListener.Close()
}

func (l *listener) control(f func(fd int) error) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
