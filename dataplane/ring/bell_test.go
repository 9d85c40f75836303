package ring

import (
	"sync"
	"testing"
	"time"
)

func TestBell(t *testing.T) {
	newBell := func() *Bell {
		b := new(Bell)
		b.Init()
		return b
	}
	sleeps := func(b *Bell, want bool) {
		t.Helper()
		if got := b.Sleep(); got != want {
			t.Fatalf("Sleep is %v, want %v", got, want)
		}
	}
	woken := func(b *Bell, want bool) {
		t.Helper()
		select {
		case <-b.C():
			if !want {
				t.Fatal("woken, though awake")
			}
		default:
			if want {
				t.Fatal("not woken")
			}
		}
	}

	b := newBell() // rung while awake: no sleep, and no wake-up
	b.Ring()
	b.Ring()
	sleeps(b, false)
	sleeps(b, true)
	woken(b, false)

	b = newBell() // rung while asleep: one wake-up, and the next sleep is sound
	sleeps(b, true)
	b.Ring()
	woken(b, true)
	sleeps(b, true)
	woken(b, false)

	b = newBell() // rung twice while asleep: the second asks for one more look
	sleeps(b, true)
	b.Ring()
	b.Ring()
	woken(b, true)
	woken(b, false)
	sleeps(b, false)

	b = newBell() // thought better of it
	sleeps(b, true)
	b.Wake()
	b.Ring()
	woken(b, false)
	sleeps(b, false)

	b = newBell() // rung before it thought better of it: woken without a cause, once
	sleeps(b, true)
	b.Ring()
	b.Wake()
	sleeps(b, true)
	woken(b, true)
	b.Ring()
	woken(b, true)
	sleeps(b, true)
	woken(b, false)
}

// consume is the consumer of the Bell's comment. It calls each with every value
// until that returns false.
func consume[T any](r *Ring[T], b *Bell, each func(T) bool) {
	for {
		for {
			v, ok := r.TryPop()
			if !ok {
				break
			}
			if !each(v) {
				return
			}
		}
		if !b.Sleep() {
			continue
		}
		if r.Len() > 0 {
			b.Wake()
			continue
		}
		<-b.C()
	}
}

// Every value is pushed only after the one before was taken, so that nobody
// else's wake-up could make up for a lost one.
func TestNoWakeUpIsLost(t *testing.T) {
	f := func(producers, each int) {
		t.Helper()
		r, b := New[chan struct{}](16), new(Bell)
		b.Init()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			consume(r, b, func(taken chan struct{}) bool {
				if taken == nil {
					return false
				}
				taken <- struct{}{}
				return true
			})
		}()
		late := time.After(patience)
		var wg sync.WaitGroup
		for range producers {
			wg.Go(func() {
				taken := make(chan struct{}, 1)
				for i := range each {
					if !r.TryPush(taken) {
						t.Error("full")
						return
					}
					b.Ring()
					select {
					case <-taken:
					case <-late:
						t.Errorf("value %d was not taken: its wake-up is lost", i)
						return
					}
				}
			})
		}
		wg.Wait()
		r.TryPush(nil)
		b.Ring()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the consumer sleeps on")
		}
	}
	f(1, 100_000)
	f(2, 50_000)
	f(8, 10_000)
}

// As scheduler's hook rings: nothing is pushed, something else has changed.
func TestRingWithoutPushIsNotLost(t *testing.T) {
	const rounds = 100_000
	r, b := New[int](2), new(Bell)
	b.Init()
	var mu sync.Mutex
	asked, seen := 0, make(chan int, 1)
	go func() {
		last := 0
		for last < rounds {
			mu.Lock()
			now := asked
			mu.Unlock()
			if now != last {
				last = now
				seen <- now
			}
			if !b.Sleep() {
				continue
			}
			if r.Len() > 0 {
				b.Wake()
				continue
			}
			if last < rounds {
				<-b.C()
			}
		}
	}()
	late := time.After(patience)
	for i := 1; i <= rounds; i++ {
		mu.Lock()
		asked = i
		mu.Unlock()
		b.Ring()
		select {
		case <-seen:
		case <-late:
			t.Fatalf("round %d was not seen: its wake-up is lost", i)
		}
	}
}
