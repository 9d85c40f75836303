package fleet

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAgendaIsInOrder(t *testing.T) {
	d := rand.New(rand.NewPCG(1, 1))
	var a agenda
	var last event
	for n := range 20_000 {
		if len(a.heap) == 0 || d.IntN(5) < 3 {
			a.plan(event{at: last.at + time.Duration(d.IntN(50)), n: int32(n)})
			continue
		}
		e := a.next()
		if e.before(&last) {
			t.Fatalf("%v, turn %d, came after %v, turn %d", e.at, e.turn, last.at, last.turn)
		}
		last = e
	}
}
