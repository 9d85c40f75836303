package ring

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

const timedSize = 1024

// BenchmarkQueue moves values from producers to one consumer that sleeps when
// there is nothing, through the ring with its bell and through a buffered
// channel of the same size. An operation is one value.
func BenchmarkQueue(b *testing.B) {
	for _, producers := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("ring/%d-1", producers), func(b *testing.B) { timeRing(b, producers) })
		b.Run(fmt.Sprintf("channel/%d-1", producers), func(b *testing.B) { timeChannel(b, producers) })
	}
}

func timeRing(b *testing.B, producers int) {
	r, bell := New[int](timedSize), new(Bell)
	bell.Init()
	b.ReportAllocs()
	var wg sync.WaitGroup
	for n := range shares(b.N, producers) {
		wg.Go(func() {
			for i := range n {
				for !r.TryPush(i) {
					runtime.Gosched()
				}
				bell.Ring()
			}
		})
	}
	left := b.N
	consume(r, bell, func(int) bool { left--; return left > 0 })
	wg.Wait()
}

func timeChannel(b *testing.B, producers int) {
	c := make(chan int, timedSize)
	b.ReportAllocs()
	var wg sync.WaitGroup
	for n := range shares(b.N, producers) {
		wg.Go(func() {
			for i := range n {
				c <- i
			}
		})
	}
	for range b.N {
		<-c
	}
	wg.Wait()
}

// shares splits n into k parts.
func shares(n, k int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range k {
			if !yield(n*(i+1)/k - n*i/k) {
				return
			}
		}
	}
}

// BenchmarkPushPop is what one value costs when nobody else is there.
func BenchmarkPushPop(b *testing.B) {
	b.Run("ring", func(b *testing.B) {
		b.ReportAllocs()
		r := New[int](timedSize)
		for b.Loop() {
			r.TryPush(1)
			r.TryPop()
		}
	})
	b.Run("channel", func(b *testing.B) {
		b.ReportAllocs()
		c := make(chan int, timedSize)
		for b.Loop() {
			select {
			case c <- 1:
			default:
			}
			select {
			case <-c:
			default:
			}
		}
	})
}
