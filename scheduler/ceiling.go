package scheduler

import "time"

// ceiling is how many requests an engine turns out to run at once that does not
// say: so many again and again, while others wait in it though its cache has
// room and nothing is read in. It belongs to the keeper.
type ceiling struct {
	limit int64 // 0: none is known
	at    int64 // running, at the last report that had some waiting
	same  int   // reports since that had as many, and none another number
	ended uint64
	asked time.Time // when the limit was last met, or doubted
}

const (
	// ceilingSeen is how many reports make a limit, between which others have
	// taken the places of those that ended.
	ceilingSeen = 3
	// ceilingDoubt is how long a limit is believed that nobody meets: one more is
	// let in then.
	ceilingDoubt = 10 * time.Second
	// ceilingUsage is the KV usage, in millionths, from which an engine may have
	// others wait for room.
	ceilingUsage = 900_000
)

// heard takes in a report: running and waiting, the KV usage, and of our account
// the streams and the requests that have ended.
func (c *ceiling) heard(running, waiting, usage, streams int64, ended uint64, now time.Time) {
	switch {
	case c.limit > 0 && running > c.limit:
		*c = ceiling{} // it runs more
	case waiting == 0:
		if c.limit > 0 && now.Sub(c.asked) >= ceilingDoubt {
			c.limit, c.asked = c.limit+1, now
		}
	case usage >= ceilingUsage || streams < running: // it has other reasons, or may have
	case running != c.at:
		c.at, c.same, c.ended = running, 0, ended
	case ended > c.ended:
		if c.same, c.ended = c.same+1, ended; c.same >= ceilingSeen {
			c.limit, c.asked = running, now
		}
	}
}
