package ring

import (
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"
	"weak"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 20 * time.Second

func TestLayout(t *testing.T) {
	var r Ring[*int]
	f := func(name string, got, want uintptr) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	f("tail", unsafe.Offsetof(r.tail), pad)
	f("head", unsafe.Offsetof(r.head), 2*pad)
	f("size", unsafe.Sizeof(r), 3*pad)
	f("slot of a pointer", unsafe.Sizeof(slot[*int]{}), 16)
}

func TestSizeIsTheNextPowerOfTwo(t *testing.T) {
	f := func(size, want int) {
		t.Helper()
		r := New[int](size)
		for i := range want {
			if !r.TryPush(i) {
				t.Fatalf("size %d: full after %d, want %d", size, i, want)
			}
			if got := r.Len(); got != i+1 {
				t.Fatalf("size %d: Len is %d after %d", size, got, i+1)
			}
		}
		if r.TryPush(want) {
			t.Fatalf("size %d: took more than %d", size, want)
		}
		if got := r.Len(); got != want {
			t.Fatalf("size %d: Len is %d after a refused push, want %d", size, got, want)
		}
	}
	f(1, 2)
	f(2, 2)
	f(3, 4)
	f(4, 4)
	f(5, 8)
	f(256, 256)
	f(1000, 1024)
}

func TestSizeOutOfRangePanics(t *testing.T) {
	f := func(size int) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("size %d was taken", size)
			}
		}()
		New[int](size)
	}
	f(0)
	f(-1)
	f(maxSize + 1)
}

// pop expects want at the head of r.
func pop[T comparable](t *testing.T, r *Ring[T], want T) {
	t.Helper()
	if got, ok := r.TryPop(); !ok || got != want {
		t.Fatalf("popped %v, %v; want %v", got, ok, want)
	}
}

func popNone[T any](t *testing.T, r *Ring[T]) {
	t.Helper()
	if v, ok := r.TryPop(); ok {
		t.Fatalf("popped %v of a ring with nothing to pop", v)
	}
	if n := r.Len(); n != 0 {
		t.Fatalf("Len is %d, want 0", n)
	}
}

func TestWrapAround(t *testing.T) {
	r := New[int](4)
	popNone(t, r)
	next, oldest := 0, 0
	for fill := range 5 { // every fill at every position
		for range 11 {
			for range fill {
				if !r.TryPush(next) {
					t.Fatalf("full with %d of 4", r.Len())
				}
				next++
			}
			for range fill {
				pop(t, r, oldest)
				oldest++
			}
			popNone(t, r)
		}
	}
}

func TestPositionsOverflow(t *testing.T) {
	r := New[int](4)
	const start = ^uint64(0) - 5
	r.tail.Store(start)
	r.head.Store(start)
	for i := range uint64(4) {
		r.slots[(start+i)&r.mask].sequence.Store(start + i)
	}
	for i := range 20 {
		if !r.TryPush(i) || !r.TryPush(-i) {
			t.Fatalf("full at round %d", i)
		}
		pop(t, r, i)
		pop(t, r, -i)
		popNone(t, r)
	}
}

func TestUnpublishedSlotCountsAsEmpty(t *testing.T) {
	r := New[int](4)
	r.tail.Add(1) // a producer that was descheduled between reserving and writing
	popNone(t, r)
	for i := 1; i < 4; i++ {
		if !r.TryPush(i) {
			t.Fatalf("full with %d values", i)
		}
	}
	popNone(t, r)
	if r.TryPush(4) {
		t.Fatal("the reserved slot was given away")
	}
	r.slots[0].value = 7
	r.slots[0].sequence.Store(1)
	if got := r.Len(); got != 4 {
		t.Errorf("Len is %d, want 4", got)
	}
	for _, want := range []int{7, 1, 2, 3} {
		pop(t, r, want)
	}
	popNone(t, r)
}

// stamped is the n-th value of a producer.
type stamped struct{ producer, n int }

// drain takes count values of producers and checks that each producer's come in
// order, none lost, none twice.
func drain(t *testing.T, r *Ring[stamped], producers, count int) {
	t.Helper()
	next := make([]int, producers)
	late := time.Now().Add(patience)
	for got := 0; got < count; {
		v, ok := r.TryPop()
		if !ok {
			if time.Now().After(late) {
				t.Fatalf("got %d of %d values", got, count)
			}
			runtime.Gosched()
			continue
		}
		if v.n != next[v.producer] {
			t.Fatalf("producer %d: got value %d, want %d", v.producer, v.n, next[v.producer])
		}
		next[v.producer]++
		got++
	}
	popNone(t, r)
}

func TestConcurrentProducers(t *testing.T) {
	f := func(size, producers, each int) {
		t.Helper()
		r := New[stamped](size)
		var wg sync.WaitGroup
		defer wg.Wait()
		for p := range producers {
			wg.Go(func() {
				for i := range each {
					for !r.TryPush(stamped{p, i}) {
						if t.Failed() {
							return
						}
						runtime.Gosched()
					}
				}
			})
		}
		drain(t, r, producers, producers*each)
	}
	f(2, 1, 50_000)
	f(2, 8, 5_000)
	f(64, 4, 20_000)
	f(1024, 16, 5_000)
}

func TestLenStaysInBounds(t *testing.T) {
	r := New[int](8)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					r.TryPush(1)
				}
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.TryPop()
			}
		}
	})
	for range 20_000 {
		if n := r.Len(); n < 0 || n > 8 {
			t.Errorf("Len is %d of a ring of 8", n)
			break
		}
	}
	close(stop)
	wg.Wait()
}

func TestPoppedValueIsReleased(t *testing.T) {
	r := New[*[64]byte](4)
	v := new([64]byte)
	w := weak.Make(v)
	r.TryPush(v)
	v = nil
	runtime.GC()
	if w.Value() == nil {
		t.Fatal("the ring does not keep alive what is in it")
	}
	r.TryPop()
	runtime.GC()
	if w.Value() != nil {
		t.Error("the ring keeps alive what was popped")
	}
	runtime.KeepAlive(r)
}

func TestNothingIsAllocated(t *testing.T) {
	r := New[*int](8)
	var b Bell
	b.Init()
	v := new(int)
	if n := testing.AllocsPerRun(1000, func() {
		r.TryPush(v)
		b.Ring()
		b.Sleep()
		r.TryPop()
		r.Len()
	}); n != 0 {
		t.Errorf("%v allocations a value, want 0", n)
	}
}
