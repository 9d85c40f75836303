package record

import "time"

// Socket is a WebSocket that passes through to the instance, and what became of
// it.
type Socket struct {
	Opened float32 `json:"opened_ms"`         // since the decision
	Open   float32 `json:"open_ms,omitempty"` // how long it was; 0: it is
	In     int64   `json:"messages_in"`       // from the client, once it has ended
	Out    int64   `json:"messages_out"`
	Code   int32   `json:"close_code,omitempty"` // 1006: there was none
	Own    bool    `json:"closed_by_router,omitempty"`

	seq uint64
}

// Opened notes that the decision's request became a WebSocket, so long after it.
func (r *Ring) Opened(seq uint64, after time.Duration) {
	r.became(seq, Socket{Opened: millis(after)})
}

// Closed notes how that ended, so long after the decision.
func (r *Ring) Closed(seq uint64, after time.Duration, s Socket) {
	if seq == 0 {
		return
	}
	if now := r.at(seq).socket.Load(); now != nil && now.seq == seq {
		s.Opened = now.Opened
		s.Open = max(millis(after)-now.Opened, 1e-3)
		r.became(seq, s)
	}
}

// became keeps it, unless a later decision has the slot: a WebSocket may last for
// days.
func (r *Ring) became(seq uint64, s Socket) {
	if seq == 0 {
		return
	}
	s.seq = seq
	for to := &r.at(seq).socket; ; {
		now := to.Load()
		if now != nil && now.seq > seq || to.CompareAndSwap(now, &s) {
			return
		}
	}
}

// socketOf is what became of the decision's; nil: it is none.
func (r *Ring) socketOf(seq uint64) *Socket {
	s := r.at(seq).socket.Load()
	if s == nil || s.seq != seq {
		return nil
	}
	copied := *s
	return &copied
}

func (s *Socket) tidy() {
	tidy(&s.Opened, &s.Open)
	s.In, s.Out, s.Code = max(s.In, 0), max(s.Out, 0), max(s.Code, 0)
}

func millis(d time.Duration) float32 { return float32(d.Seconds() * 1e3) }
