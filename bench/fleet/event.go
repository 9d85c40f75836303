package fleet

import "time"

// event is something that happens at a time. Of two at the same time, the one
// that was planned first comes first.
type event struct {
	at   time.Duration
	turn uint64
	kind kind
	n    int32 // of the instance
	g    int32 // of the gateway; of a step, the engine's life that it belongs to
	call *call
	said *report
}

type kind uint8

const (
	reaches kind = iota // a request reaches its engine
	begins              // an engine may have something to do
	steps               // an engine's step ends
	first               // a first token reaches the gateway
	ends                // a last token does
	refused             // the engine's word that it does not take the request
	breaks              // a connection ends, without an answer or in the middle of one
	crashes             // an engine dies
	returns             // it is there again
	scrapes             // a gateway asks for metrics
	reports             // a gateway gets them
	arrives             // a request of a closed loop comes
)

// agenda are the events to come: a heap, by hand, since container/heap costs an
// allocation and two calls through an interface for each.
type agenda struct {
	heap []event
	turn uint64
}

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.turn < b.turn }

// plan adds an event.
func (a *agenda) plan(e event) {
	a.turn++
	e.turn = a.turn
	a.heap = append(a.heap, e)
	h, i := a.heap, len(a.heap)-1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

// next takes the earliest. There must be one.
func (a *agenda) next() event {
	h := a.heap
	top, last := h[0], h[len(h)-1]
	h[len(h)-1] = event{}
	h = h[:len(h)-1]
	a.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= len(h) {
			break
		}
		for c := least + 1; c < min(4*i+5, len(h)); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&last) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = last
	return top
}
