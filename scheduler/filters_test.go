package scheduler

import (
	"sync"
	"testing"

	"penstock/scheduler/engine"
)

func TestHigressTakesTheShortestThenTheEmptiest(t *testing.T) {
	for _, test := range []struct {
		name string
		want int
		all  []told
	}{
		{"the shortest queue, though its cache is fuller", 0, []told{{kv: 0.7}, {waiting: 4, kv: 0.1}}},
		{"of equal queues the emptiest cache", 1, []told{{kv: 0.7}, {kv: 0.1}}},
		{"queues in the first of three parts are equal", 1, []told{{kv: 0.5}, {waiting: 1, kv: 0.1}, {waiting: 5}}},
		{"in the second they are not", 0, []told{{kv: 0.5}, {waiting: 2, kv: 0.1}, {waiting: 5}}},
		{"of all, parts are larger", 1, []told{{kv: 0.95}, {waiting: 3, kv: 0.9}, {waiting: 10}}},
		{"a KV cache above 0.8 is out of bounds", 1, []told{{kv: 0.81}, {waiting: 5, kv: 0.8}}},
		{"a queue above 5 is out of bounds", 1, []told{{waiting: 6}, {waiting: 5, kv: 0.8}}},
		{"all are out of bounds: the shortest queue", 1, []told{{waiting: 9, kv: 0.1}, {waiting: 6, kv: 0.9}}},
	} {
		q, c := candidatesOf(t, test.all)
		for range 20 {
			q.Rand = next(q.Rand)
			if got, reason := higress.choose(q, 0, c); got != test.want {
				t.Errorf("%s: chose %d (%s), want %d", test.name, got, reason, test.want)
				break
			}
		}
	}
}

// Counts change while they are compared: whoever would be chosen has more by then
// than was the bound.
func TestHigressChoosesWhateverChangesMeanwhile(t *testing.T) {
	s := fleetOf(t, 4, "higress")
	for _, i := range s.Instances() { // each does not say what waits, and has more than the bound
		i.says(1, 0, func(r *engine.Reading) { r.Has = engine.HasKVUsage })
		i.row.inFlight.Store(10)
	}
	var all, changes sync.WaitGroup
	stop := make(chan struct{})
	for _, i := range s.Instances() {
		changes.Go(func() {
			for n := int64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
					i.row.inFlight.Store(10 + n%50)
				}
			}
		})
	}
	for range 4 {
		all.Go(func() {
			q := Query{Model: "m", PromptTokens: 10, MaxTokens: 5, Rand: 1}
			var c []candidate
			for _, i := range s.Instances() {
				c = append(c, candidate{inst: i})
			}
			for range 20_000 {
				q.Rand = next(q.Rand)
				if n, _ := higress.choose(&q, 0, c); n < 0 {
					t.Error("nobody was chosen")
					return
				}
			}
		})
	}
	all.Wait()
	close(stop)
	changes.Wait()
}
