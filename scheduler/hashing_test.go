package scheduler

import (
	"math"
	"testing"
)

// place is where a conversation with this second block goes.
func place(c []candidate, key uint64) int {
	n, _ := chwbl.choose(&Query{Prefix: []uint64{1, key}, Rand: key}, 0, c)
	return n
}

func idle(t testing.TB, n int) []candidate {
	_, c := candidatesOf(t, make([]told, n))
	for i := range c { // enough that one more or less is within the bound
		c[i].load.requests = 100
	}
	return c
}

func TestConversationStaysInItsPlace(t *testing.T) {
	c := idle(t, 8)
	for key := range uint64(100) {
		q := &Query{Prefix: []uint64{1, key}, Rand: 1}
		first, _ := chwbl.choose(q, 0, c)
		q.Prefix, q.Rand = append(q.Prefix, 7, 8, 9), 2 // a turn later
		if again, _ := chwbl.choose(q, 1, c); again != first {
			t.Fatalf("conversation %d moved from %d to %d", key, first, again)
		}
	}
}

func TestPlacesAreSpread(t *testing.T) {
	c := idle(t, 8)
	got := make([]int, len(c))
	for key := range uint64(8000) {
		got[place(c, key)]++
	}
	for n, k := range got { // 256 places each: a standard deviation of a sixteenth
		if k < 750 || k > 1250 {
			t.Errorf("instance %d has %d of 8000", n, k)
		}
	}
}

// Who leaves takes nobody else's conversations along.
func TestOnlyTheLostMove(t *testing.T) {
	c := idle(t, 8)
	fewer := append(append([]candidate{}, c[:3]...), c[4:]...)
	for key := range uint64(2000) {
		before, after := c[place(c, key)].inst, fewer[place(fewer, key)].inst
		if before != c[3].inst && before != after {
			t.Fatalf("conversation %d moved from %s to %s, though %s left", key, before.Name, after.Name, c[3].inst.Name)
		}
	}
}

func TestHotPlaceIsBounded(t *testing.T) {
	c := idle(t, 8)
	for n := range c {
		c[n].load.requests = 0
	}
	for k := range 1000 {
		n := place(c, 42)
		c[n].load.requests++
		if bound := math.Ceil(1.25 * float64(k+1) / 8); c[n].requests() > bound {
			t.Fatalf("%d of %d requests in one place, want at most %v", c[n].load.requests, k+1, bound)
		}
	}
	if c[place(c, 42)].load.requests == 0 {
		t.Error("the hot conversation went to an idle instance that is not next")
	}
}

// However uneven the load, someone is within the bound.
func TestThereIsAlwaysAPlace(t *testing.T) {
	x := uint64(1)
	for n := 1; n <= 64; n++ {
		c := idle(t, n)
		for range 200 {
			for i := range c {
				x = next(x)
				c[i].load.requests = int64(x >> (44 + x%20))
			}
			if place(c, x) < 0 {
				t.Fatalf("%d instances: no place", n)
			}
		}
	}
}

func TestNextPlaceIsTheNearestClockwise(t *testing.T) {
	r := newRing("a")
	p := &r.places
	keys := []uint64{0, p[0], p[0] + 1, p[points-1], p[points-1] + 1, math.MaxUint64}
	for x := range uint64(1000) {
		keys = append(keys, next(x))
	}
	for _, key := range keys {
		want := uint64(math.MaxUint64)
		for _, at := range p {
			want = min(want, at-key)
		}
		if got := r.clockwise(key); got != want {
			t.Fatalf("from %d it is %d, want %d", key, got, want)
		}
	}
}

// What all conversations begin with must not put them all in one place.
func TestSharedSystemPromptIsNoKey(t *testing.T) {
	c := idle(t, 8)
	seen := map[int]bool{}
	for key := range uint64(100) {
		seen[place(c, key)] = true
	}
	if len(seen) < 8 {
		t.Errorf("conversations that share their first block are in %d places of 8", len(seen))
	}
}

func TestRingKey(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b Query
		same bool
	}{
		{"later blocks do not count", Query{Prefix: []uint64{1, 2}}, Query{Prefix: []uint64{1, 2, 3}}, true},
		{"the second does", Query{Prefix: []uint64{1, 2}}, Query{Prefix: []uint64{1, 3}}, false},
		{"a session, where there is no prefix", Query{Session: 5, Rand: 1}, Query{Session: 5, Rand: 2}, true},
		{"nothing: anywhere", Query{Rand: 1}, Query{Rand: 2}, false},
	} {
		if same := test.a.ringKey() == test.b.ringKey(); same != test.same {
			t.Errorf("%s: same key: %v", test.name, same)
		}
	}
}
