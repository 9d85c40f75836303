package dataplane

import "time"

// farewell is how the router ends a tunnel: each direction goes on to the end of
// the frame under way, and is closed there with a code.
type farewell struct {
	code  int
	why   string
	until time.Time // for so long it goes on
}

// quietFor is how long nothing has passed through a tunnel that a drain ends.
const quietFor = 2 * time.Second

func (f *farewell) late() bool { return !time.Now().Before(f.until) }

// part ends the tunnel. What was said first counts.
func (t *tunnel) part(code int, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partNow(code, why)
}

// partNow is part with mu held: it wakes both directions.
func (t *tunnel) partNow(code int, why string) {
	now := time.Now()
	if !t.parting.CompareAndSwap(nil, &farewell{code, why, now.Add(lastWords)}) {
		return
	}
	t.conn.SetReadDeadline(past)
	t.conn.SetWriteDeadline(now.Add(lastWords))
	t.far.part()
}

// depart says goodbye to both ends: to the client here, to the instance where the
// client was heard.
func (t *tunnel) depart(up *engineConn, bye *farewell) outcome {
	t.goodbye(bye.code, bye.why)
	t.hearing.Wait()
	t.far.replay.Wait() // all of it may have been said before the instance was there
	linger(up.Conn, mostPassed)
	return outcome{end: ended}
}

// goodbye closes the client's side with a code, once, where no frame is under way.
func (t *tunnel) goodbye(code int, why string) {
	if t.ended == 0 && t.inject(closeFrame(code, why)) {
		t.ended = code
	}
}

// quiet says whether nothing has passed for quietFor, and no message is half way.
func (t *tunnel) quiet() bool {
	return !t.inward.Load() && !t.outward.Load() && t.g.now()-t.moved.Load() >= int64(t.g.quietFor)
}
