package dataplane

import (
	"context"
	"net"
	"testing"
	"time"

	"penstock/scheduler"
)

// pool is a warm with an engine behind it that the test plays.
type pool struct {
	*warm
	*rig     // for its patience alone
	accepted chan net.Conn
	evicted  chan struct{}
}

func newPool(t *testing.T) *pool {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pool{rig: &rig{t: t}, accepted: make(chan net.Conn, 64), evicted: make(chan struct{}, 64)}
	p.warm = &warm{inst: new(scheduler.Instance),
		addr: func() string { return ln.Addr().String() }, watch: runWatcher(t), limit: idleLimit, onClose: func() { p.evicted <- struct{}{} },
		dial: func(_ context.Context, addr string) (net.Conn, error) { return net.Dial("tcp", addr) },
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.accepted <- c
		}
	}()
	t.Cleanup(func() { ln.Close(); p.shut() })
	return p
}

// take gets a connection as of now.
func (p *pool) take(now time.Time, fresh bool) *engineConn {
	p.t.Helper()
	c, err := p.get(now, fresh)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// open is a fresh connection and the engine's end of it.
func (p *pool) open() (*engineConn, net.Conn) {
	p.t.Helper()
	return p.take(time.Now(), true), <-p.accepted
}

func TestLatestUsedConnectionComesFirst(t *testing.T) {
	p := newPool(t)
	now := time.Now()
	a, _ := p.open()
	b, _ := p.open()
	p.put(a, now)
	p.put(b, now)
	if c := p.take(now, false); c != b || !c.reused {
		t.Errorf("not the latest, or not as a reused one (%v)", c.reused)
	}
	if c := p.take(now, true); c == a || c.reused {
		t.Error("a fresh one was asked for")
	}
	if c := p.take(now, false); c != a {
		t.Error("not the other one")
	}
	if n := p.dials.Load(); n != 3 {
		t.Errorf("%d dials, want 3", n)
	}
	if c := p.take(now, false); c.reused {
		t.Error("a new connection is said to be reused")
	}
}

func TestIdleConnectionThatTheEngineClosesIsEvicted(t *testing.T) {
	for way, leave := range departures {
		p := newPool(t)
		c, theirs := p.open()
		other, _ := p.open()
		p.put(c, time.Now())
		p.put(other, time.Now())
		leave(theirs)
		select {
		case <-p.evicted:
		case <-time.After(patience):
			t.Fatalf("%s: it stays", way)
		}
		if n := p.size(); n != 1 || p.staleCount() != 1 {
			t.Errorf("%s: %d idle, %d stale; want 1 and 1", way, n, p.staleCount())
		}
		if got := p.take(time.Now(), false); got != other {
			t.Errorf("%s: the wrong one was evicted", way)
		}
	}
}

func TestConnectionThatDiesInUseIsNotTakenBack(t *testing.T) {
	p := newPool(t)
	c, theirs := p.open()
	theirs.Close()
	p.until("the FIN", c.gone.Load)
	p.put(c, time.Now())
	if p.size() != 0 || len(p.evicted) != 0 {
		t.Error("a dead connection is idle")
	}
	if p.idleLimit() != idleLimit {
		t.Error("something was learned of a connection that was not idle")
	}
}

func TestConnectionThatSaysSomethingUnaskedIsDropped(t *testing.T) {
	p := newPool(t)
	c, theirs := p.open()
	p.put(c, time.Now())
	theirs.Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n"))
	p.until("what it says", func() bool { return !c.quiet() })
	if got := p.take(time.Now(), false); got == c {
		t.Error("a connection with an answer to nothing carries a request")
	}
	if p.staleCount() != 1 {
		t.Errorf("%d stale, want 1", p.staleCount())
	}
}

func TestIdleLimit(t *testing.T) {
	p := newPool(t)
	now := time.Now()
	old, _ := p.open()
	young, _ := p.open()
	p.put(old, now.Add(-idleLimit))
	p.put(young, now.Add(-idleLimit/2))
	p.sweep(now)
	if p.size() != 1 {
		t.Fatalf("%d idle, want the young one", p.size())
	}
	if _, err := old.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the old one is not closed: %v", err)
	}
	if got := p.take(now.Add(idleLimit/2), false); got == young {
		t.Error("one that is over its limit carries a request before the sweeper came")
	}
}

func TestShorterLimitOfAnEngineIsLearnedAndForgotten(t *testing.T) {
	p, now := newPool(t), time.Now()
	p.learn(time.Second, now)
	if p.idleLimit() != idleLimit {
		t.Error("one close is taken for a limit: the engine may have died")
	}
	p.learn(900*time.Millisecond, now)
	if p.idleLimit() != idleLimit {
		t.Error("two at one moment are taken for a limit: the engine may have died")
	}
	p.learn(time.Second, now.Add(time.Second))
	if got := p.idleLimit(); got != 800*time.Millisecond {
		t.Errorf("after 1s: %v", got)
	}
	p.learn(3*time.Second, now.Add(2*time.Second))
	p.learn(3*time.Second, now.Add(5*time.Second))
	if got := p.idleLimit(); got != 800*time.Millisecond {
		t.Errorf("a longer one was learned: %v", got)
	}
	p.learn(0, now.Add(6*time.Second))
	p.learn(0, now.Add(7*time.Second))
	if got := p.idleLimit(); got != idleLimitFloor {
		t.Errorf("the floor is %v", got)
	}
	p.sweep(time.Now().Add(idleLimitFor / 2))
	if got := p.idleLimit(); got != idleLimitFloor {
		t.Errorf("forgotten too early: %v", got)
	}
	p.sweep(time.Now().Add(2 * idleLimitFor))
	if got := p.idleLimit(); got != idleLimit {
		t.Errorf("not forgotten: %v", got)
	}
}

func TestLimitIsLearnedFromTheEnginesFIN(t *testing.T) {
	p := newPool(t)
	c, theirs := p.open()
	p.seen, p.seenAt = time.Second, time.Now().Add(-time.Second) // another one, before
	p.put(c, time.Now().Add(-time.Second))                       // idle for a second by now
	theirs.Close()
	<-p.evicted
	if got := p.idleLimit(); got < 800*time.Millisecond || got > 2*time.Second {
		t.Errorf("learned %v of a FIN after one second", got)
	}
}

func TestShutClosesAllAndTakesNoneBack(t *testing.T) {
	p := newPool(t)
	idle, idleEnd := p.open()
	used, usedEnd := p.open()
	p.put(idle, time.Now())
	p.shut()
	p.put(used, time.Now())
	if p.size() != 0 {
		t.Errorf("%d idle", p.size())
	}
	for _, end := range []net.Conn{idleEnd, usedEnd} {
		end.SetDeadline(time.Now().Add(patience))
		if _, err := end.Read(make([]byte, 1)); isTimeout(err) {
			t.Error("a connection is still open")
		}
	}
	if len(p.evicted) != 0 {
		t.Error("our own closing was taken for the engine's")
	}
}

func TestDialThatFails(t *testing.T) {
	p := newPool(t)
	dead := deadURL(t)[len("http://"):]
	p.warm.addr = func() string { return dead }
	if c, err := p.get(time.Now(), false); err == nil || c != nil {
		t.Errorf("got %v, %v", c, err)
	}
	if p.dials.Load() != 0 {
		t.Error("a refused connection counts as opened")
	}
}

func (p *warm) staleCount() (n uint64) {
	for by := range p.stale {
		n += p.stale[by].Load()
	}
	return n
}

// Nothing reaches the instance: who wants a connection to it must not wait for
// one until the time is over.
func TestConnectionsThatAreBeingMadeAreAbandoned(t *testing.T) {
	p := newPool(t)
	begun, ended := make(chan struct{}), make(chan error, 1)
	p.warm.dial = func(ctx context.Context, _ string) (net.Conn, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	go func() {
		_, err := p.get(time.Now(), true)
		ended <- err
	}()
	p.wait(begun, "the attempt to connect")
	p.abandon()
	if err := <-ended; dialFailure(err) != scheduler.Unreachable {
		t.Errorf("%v is taken for %v", err, dialFailure(err))
	}
	p.warm.dial = func(_ context.Context, _ string) (net.Conn, error) { return net.Dial("tcp", p.warm.addr()) }
	if c, err := p.get(time.Now(), true); err != nil {
		t.Errorf("later: %v", err)
	} else {
		c.close()
	}
}
