package dataplane

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"penstock/dataplane/ring"
	"penstock/scheduler"
)

// fleet makes a source's list the fleet of a rig that was started without one.
func (r *rig) fleet(list []scheduler.InstanceConfig) {
	r.t.Helper()
	if err := r.sched.Set("file", list); err != nil {
		r.t.Fatal(err)
	}
}

// departed counts how often each instance was said to be gone.
type departed struct {
	mu   sync.Mutex
	gone map[*scheduler.Instance]int
}

func (r *rig) counted() *departed {
	d := &departed{gone: make(map[*scheduler.Instance]int)}
	r.sched.OnGone(func(i *scheduler.Instance) {
		r.g.left(i)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gone[i]++
	})
	return d
}

func (d *departed) of(i *scheduler.Instance) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone[i]
}

// The holder may know of the request, or not have looked at the ring yet.
func TestHeldRequestIsServedByAnotherWhenItsInstanceLeaves(t *testing.T) {
	a, cameA, releaseA := gated(t)
	b, cameB, releaseB := gated(t)
	both := one(instances(a.url, b.url))
	came, release := []chan string{cameA, cameB}, []chan struct{}{releaseA, releaseB}
	r := start(t, nil, nil)
	r.fleet(both)
	gone := r.counted()
	at := r.sched.Instances()
	first := []*peer{r.dial(), r.dial()}
	for _, p := range first {
		p.post(ask)
	}
	<-cameA
	<-cameB
	held := r.dial()
	held.post(numbered(7))
	r.until("the request to be held", func() bool { return r.g.PendingAt(at[0])+r.g.PendingAt(at[1]) == 1 })
	x, y := 0, 1
	if r.g.PendingAt(at[1]) == 1 {
		x, y = 1, 0
	}
	r.fleet(both[y : y+1]) // where it waits, leaves
	release[x] <- struct{}{}
	r.until("the instance to be gone", func() bool { return gone.of(at[x]) == 1 })
	if n := r.metric("penstock_gateway_pending"); n != 1 {
		t.Errorf("%v requests are held, want 1", n)
	}
	if n := len(r.g.stations.all()); n != 2 {
		t.Errorf("%d stations, want the spare one and one", n)
	}
	release[y] <- struct{}{}
	if got := <-came[y]; got != numbered(7) {
		t.Errorf("the engine got %s", got)
	}
	release[y] <- struct{}{}
	for _, p := range append(first, held) {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
	if len(came[x]) != 0 {
		t.Error("the instance that left got something")
	}
	r.until("nobody to wait", func() bool { return r.metric("penstock_gateway_pending") == 0 })
	if len(r.g.holder.orphans.all()) != 0 || r.g.holder.orphans.some.Load() {
		t.Error("the holder still looks after the ring of the instance that left")
	}
}

func TestHeldRequestGoesToWhoTakesTheLeaversPlace(t *testing.T) {
	e, came, release := gated(t)
	next, asked := counting(t)
	r := start(t, nil, nil)
	r.fleet(one(instances(e.url)))
	first, held := r.dial(), r.dial()
	first.post(ask)
	<-came
	held.post(ask)
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	r.fleet(instances(next.url)) // by the same name
	resp, body := held.whole()   // though the other has not gone yet
	expect(t, resp, body, 200, "")
	release <- struct{}{}
	resp, body = first.whole() // what it has, it may finish
	expect(t, resp, body, 200, "")
	if asked.Load() != 1 || len(came) != 0 {
		t.Errorf("the new one had %d requests, the old one %d more", asked.Load(), len(came))
	}
}

// A decision may name an instance that is gone before its station is looked up.
func TestInstanceThatLeftGetsNoStationAgain(t *testing.T) {
	e := newEngine(t, ok)
	r := start(t, nil, nil)
	r.fleet(instances(e.url))
	gone := r.counted()
	i := r.sched.Instances()[0]
	resp, body := r.do(ask)
	expect(t, resp, body, 200, "")
	r.fleet(nil)
	r.until("the instance to be gone", func() bool { return gone.of(i) == 1 })
	st := r.g.stations.of(i)
	if n := len(r.g.stations.all()); n != 1 {
		t.Errorf("%d stations, want the spare one alone", n)
	}
	c, err := st.warm.get(time.Now(), true)
	if err != nil {
		t.Fatal(err)
	}
	st.warm.put(c, time.Now())
	if st.warm.pop() != nil {
		t.Error("it keeps a connection that nobody would close")
	}
	w := r.g.holder.enter(&scheduler.Query{Model: "m"}, st, 0, 0) // who waits there is found all the same
	r.wait(w.done, "the holder to see who waits")
	if d := w.decision; w.state.Load() != bound || d.Verdict != scheduler.NoInstance {
		t.Errorf("state %d, verdict %d", w.state.Load(), d.Verdict)
	}
	r.g.holder.leave(w)
}

func TestHolderLooksForOrphansForFree(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	if n := testing.AllocsPerRun(1000, func() {
		if r.g.holder.orphans.all() != nil {
			t.Error("an orphan from nowhere")
		}
	}); n != 0 {
		t.Errorf("%v allocations a look", n)
	}
}

// Who found no room in his own ring stands in another's, which its instance may
// take along.
func TestWaiterInTheRingOfALeaverIsNotLost(t *testing.T) {
	s := newStations(func(i *scheduler.Instance) *station {
		return &station{inst: i, warm: new(warm), ring: ring.New[*waiter](2)}
	})
	sched, err := scheduler.New(scheduler.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{sched: sched, stations: s.all, max: 100, line: scheduler.NewLine[*waiter](sched)}
	h.bell.Init()
	own, leaver := new(scheduler.Instance), new(scheduler.Instance)
	s.of(leaver)
	at := s.of(own)
	entered := 0
	for s.look(leaver).ring.Len() == 0 {
		if h.enter(new(scheduler.Query), at, int64(time.Second), 0) == nil {
			t.Fatal("no room")
		}
		entered++
	}
	h.adopt(s.drop(leaver))
	h.collect(0)
	if h.line.Len() != entered {
		t.Errorf("%d of %d who entered are in line", h.line.Len(), entered)
	}
	if n := len(h.orphans.all()); n != 0 {
		t.Errorf("%d rings are looked after where nobody waits", n)
	}
}
