package dataplane

import (
	"sync"
	"testing"
)

func TestBuffersAreLargeEnoughAndNotMuchMore(t *testing.T) {
	for _, n := range []int{0, 1, minBuffer - 1, minBuffer, minBuffer + 1, 64 << 10, 64<<10 + 1, 1<<20 - 1, maxPooled, maxPooled + 1, 3 * maxPooled} {
		b := getBuffer(n)
		if len(b.b) < n || len(b.b) != cap(b.b) || len(b.b) > max(minBuffer, 2*n) {
			t.Errorf("%d bytes: length %d, capacity %d", n, len(b.b), cap(b.b))
		}
		b.b = b.b[:0] // whoever had it may have cut it
		putBuffer(b)
		if again := getBuffer(n); len(again.b) < n {
			t.Errorf("%d bytes, used before: length %d", n, len(again.b))
		}
	}
	putBuffer(nil)
}

func TestForeignMemoryIsNotPooled(t *testing.T) {
	odd := &buffer{make([]byte, 5000)}
	putBuffer(odd)
	for range 100 {
		if b := getBuffer(5000); b == odd {
			t.Fatal("a buffer of 5000 bytes was taken for one of 8192")
		}
	}
	small := &buffer{make([]byte, 1024)}
	putBuffer(small)
	for range 100 {
		if b := getBuffer(1); b == small {
			t.Fatal("a buffer of 1024 bytes was taken for one of 4096")
		}
	}
}

func TestBudget(t *testing.T) {
	b := budget{limit: 100}
	if !b.take(60) || b.take(41) || !b.take(40) || b.take(1) || b.used.Load() != 100 {
		t.Fatalf("%d of %d are taken", b.used.Load(), b.limit)
	}
	b.give(100)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if b.take(30) {
					b.give(30)
				}
			}
		})
	}
	all.Wait()
	if b.used.Load() != 0 || !b.take(100) {
		t.Errorf("%d are left taken", b.used.Load()-100)
	}
}
