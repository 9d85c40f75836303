package dataplane

import (
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// told is a leaver that passes on what it hears.
type told chan struct{}

func (c told) peerLeft(witness) { c <- struct{}{} }

func runWatcher(t *testing.T) *watcher {
	t.Helper()
	w, err := newWatcher()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(w.run)
	t.Cleanup(func() { w.close(); running.Wait() })
	return w
}

// pair is the two ends of a connection on loopback.
func pair(t *testing.T) (ours, theirs *net.TCPConn, fd int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	if fd, err = descriptor(c); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), s.(*net.TCPConn), fd
}

func hear(t *testing.T, c told, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("heard nothing of %s", what)
	}
}

func TestWatcherHearsFINAndRST(t *testing.T) {
	w := runWatcher(t)
	for way, leave := range departures {
		_, theirs, fd := pair(t)
		c := make(told, 4)
		if err := w.add(fd, c); err != nil {
			t.Fatal(err)
		}
		theirs.Write([]byte("data alone wakes nobody"))
		if len(c) > 0 {
			t.Fatal("data was taken for a departure")
		}
		leave(theirs)
		hear(t, c, way)
		w.remove(fd)
	}
}

func TestWatcherHearsOfSocketsThatHadLeftBefore(t *testing.T) {
	w := runWatcher(t)
	ours, theirs, fd := pair(t)
	theirs.Close()
	ours.Read(make([]byte, 1)) // the FIN is here
	c := make(told, 1)
	if err := w.add(fd, c); err != nil {
		t.Fatal(err)
	}
	hear(t, c, "a FIN that was there first")
}

func TestStaleEventFindsNobody(t *testing.T) {
	w, err := newWatcher() // nobody runs it: this test is its loop
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	_, theirs, fd := pair(t)
	first, second := make(told, 1), make(told, 1)
	if err := w.add(fd, first); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var events [4]unix.EpollEvent
	n, err := unix.EpollWait(w.epfd, events[:], int(patience.Milliseconds()))
	if n != 1 || err != nil {
		t.Fatalf("%d events, %v", n, err)
	}
	ev := events[0] // read, and in the meantime …
	if w.find(ev.Fd, uint32(ev.Pad)) != first {
		t.Fatal("the event does not find its socket")
	}
	w.remove(fd)
	if w.find(ev.Fd, uint32(ev.Pad)) != nil {
		t.Fatal("an event found a socket that was removed")
	}
	w.mu.Lock() // … the number is another socket's
	w.gen++
	w.watched[int32(fd)] = watchedPeer{gen: w.gen, peer: second}
	w.mu.Unlock()
	if w.find(ev.Fd, uint32(ev.Pad)) != nil {
		t.Fatal("an event of a closed socket found the one that has its number now")
	}
}

// Numbers are used again at once, while peers hang up: nobody may hear of
// another's departure.
func TestReusedNumbersGetNoStaleEvents(t *testing.T) {
	w := runWatcher(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	connect := func() (ours, theirs net.Conn) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c, s
	}
	numbers := make(map[int]int)
	for range 300 {
		ours, theirs := connect()
		fd, _ := descriptor(ours)
		numbers[fd]++
		if err := w.add(fd, make(told, 4)); err != nil {
			t.Fatal(err)
		}
		theirs.Close() // its event comes, or not, before the next lines
		w.remove(fd)
		ours.Close()

		ours, theirs = connect()
		fd, _ = descriptor(ours)
		numbers[fd]++
		alive := make(told, 4)
		if err := w.add(fd, alive); err != nil {
			t.Fatal(err)
		}
		w.remove(fd)
		if len(alive) > 0 {
			t.Fatal("a living connection was told that its peer left")
		}
		ours.Close()
		theirs.Close()
	}
	if len(numbers) > 300 {
		t.Errorf("%d numbers: none was used again, so this test shows nothing", len(numbers))
	}
}

func TestWatcherEnds(t *testing.T) {
	w, err := newWatcher()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { w.run(); close(ended) }()
	w.close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it runs on")
	}
	_, _, fd := pair(t)
	if err := w.add(fd, make(told)); err == nil {
		t.Error("a closed watcher took a socket")
	}
	if len(w.watched) != 0 {
		t.Error("a socket that could not be watched is remembered")
	}
}
