package dataplane

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const second = int64(time.Second)

func bucketOf(limit int64) *bucket { return &bucket{limit: limit} }

func TestAMinutesWorthComesAtOnceAndThenEvenly(t *testing.T) {
	f := func(limit int64) {
		t.Helper()
		b, now := bucketOf(limit), 100*second
		for n := range limit {
			if wait := b.take(1, now); wait != 0 {
				t.Fatalf("%d a minute: number %d has to wait %d ns", limit, n+1, wait)
			}
		}
		each := minute / limit
		wait := b.take(1, now)
		if wait < each-limit-1 || wait > each+1 {
			t.Fatalf("%d a minute: the next has to wait %d ns, want %d", limit, wait, each)
		}
		if early := b.take(1, now+wait-1); early != 1 {
			t.Errorf("%d a minute: 1 ns too early it has to wait %d ns", limit, early)
		}
		if late := b.take(1, now+wait); late != 0 {
			t.Errorf("%d a minute: when told to come it has to wait %d ns more", limit, late)
		}
	}
	f(1)
	f(7)
	f(60)
	f(1000)
}

func TestBucketHoldsNoMoreThanAMinutesWorth(t *testing.T) {
	b := bucketOf(60)
	if got := b.left(0); got != 60 {
		t.Errorf("%d are left at first, want 60", got)
	}
	b.take(50, 0)
	if got := b.left(0); got != 10 {
		t.Errorf("%d are left, want 10", got)
	}
	if got := b.left(5 * second); got != 15 {
		t.Errorf("%d are left after 5 s, want 15", got)
	}
	if got := b.left(3600 * second); got != 60 {
		t.Errorf("%d are left after an hour, want 60", got)
	}
	if wait := b.take(61, 3600*second); wait != second {
		t.Errorf("more than a minute's worth has to wait %d ns, want 1 s", wait)
	}
}

func TestOverestimateIsGivenBack(t *testing.T) {
	b := bucketOf(100)
	b.take(80, 0)
	b.settle(80, 30, 0)
	if got := b.left(0); got != 70 {
		t.Errorf("%d are left, want 70", got)
	}
	b.settle(30, 0, 0)
	if got := b.left(0); got != 100 {
		t.Errorf("%d are left, want all", got)
	}
	b.settle(30, 0, 0)
	b.settle(30, 0, 0)
	if got := b.left(0); got != 100 {
		t.Errorf("%d are left, more than there ever were", got)
	}
}

func TestUnderestimateHasToBeWaitedFor(t *testing.T) {
	b := bucketOf(60)
	b.take(10, 0)
	b.settle(10, 180, 0) // two minutes in debt
	if got := b.left(0); got != 0 {
		t.Errorf("%d are left, want 0", got)
	}
	if wait := b.take(1, 0); wait != 121*second {
		t.Errorf("the next has to wait %v, want 121 s", time.Duration(wait))
	}
	if wait := b.take(1, 121*second); wait != 0 {
		t.Errorf("after that it has to wait %v", time.Duration(wait))
	}
}

// A full bucket runs over: what would have come in then does not pay later.
func TestIdleTimePaysForNothing(t *testing.T) {
	b := bucketOf(60)
	b.take(60, 0)
	b.settle(60, 120, 600*second)
	if got := b.left(600 * second); got != 0 {
		t.Errorf("%d are left, want 0", got)
	}
}

func TestDebtIsPaidWholeAndRunsOverNothing(t *testing.T) {
	f := func(used int64) {
		t.Helper()
		b := bucketOf(1)
		for range 3 {
			b.settle(0, used, 0)
		}
		if wait := b.take(1, 0); wait < min(3*(used-1), mostDebt/minute)*minute || wait > mostDebt+minute {
			t.Errorf("%d used: the next has to wait %v, want all of it, and a year and a minute at most", used, time.Duration(wait))
		}
	}
	f(1000)
	f(1 << 20)
	f(1 << 41)
	f(math.MaxInt64)
}

func TestNoLimitTakesNoNotice(t *testing.T) {
	b := bucketOf(0)
	b.settle(5, 500, 0)
	if b.full.Load() != 0 {
		t.Error("a bucket without a limit filled")
	}
}

// What a bucket lets through in any time is at most what it held and what came
// in, however many take at once.
func TestBucketIsExactUnderConcurrency(t *testing.T) {
	b := bucketOf(5000)
	var taken [8]int64
	var all sync.WaitGroup
	for i := range taken {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for now := int64(0); now <= minute; now += second / 100 {
				n := r.Int64N(20) + 1
				if b.take(n, now) != 0 {
					continue
				}
				used := r.Int64N(n + 1)
				b.settle(n, used, now)
				taken[i] += used
			}
		})
	}
	all.Wait()
	sum := int64(0)
	for _, n := range taken {
		sum += n
	}
	// Their clocks differ here by up to the whole minute; a bucket counts by the latest.
	if sum > 2*5000+8 {
		t.Errorf("%d went through in a minute, want a full bucket and a minute's worth, 10000, at most", sum)
	}
}
