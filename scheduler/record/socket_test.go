package record

import (
	"testing"
	"time"
)

func TestAWebSocketIsToldOfItsOwnDecision(t *testing.T) {
	r := NewRing(2, []string{""}, false)
	put := func(id string) uint64 {
		e := r.Begin(id, "m", 0)
		e.Verdict = Picked
		return r.Put(e)
	}
	first := put("a")
	r.Opened(first, 20*time.Millisecond)
	r.First(first, -1)
	if d := r.Of("a")[0]; d.Socket == nil || d.Socket.Opened != 20 || d.Socket.Open != 0 || d.Socket.Code != 0 || d.Unanswered {
		t.Errorf("open: %+v %+v", d, d.Socket)
	}
	r.Closed(first, 1020*time.Millisecond, Socket{In: 3, Out: 4, Code: 1000})
	if d := r.Of("a")[0]; d.Socket == nil || d.Socket.Opened != 20 || d.Socket.Open != 1000 || d.Socket.In != 3 || d.Socket.Out != 4 || d.Socket.Code != 1000 {
		t.Errorf("closed: %+v", d.Socket)
	}
	put("b")
	third := put("c") // in the slot of the first
	if d := r.Of("c")[0]; d.Socket != nil {
		t.Errorf("the first's is told of the third: %+v", d.Socket)
	}
	r.Opened(third, 5*time.Millisecond)
	r.Closed(first, time.Hour, Socket{Code: 1001})
	if d := r.Of("c")[0]; d.Socket == nil || d.Socket.Opened != 5 || d.Socket.Code != 0 {
		t.Errorf("the first ended as the third: %+v", d.Socket)
	}
	r.Opened(0, 0) // what is not recorded
	r.Closed(0, 0, Socket{})
}
