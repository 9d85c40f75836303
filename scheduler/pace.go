package scheduler

import "time"

// A scrape takes vLLM 4 to 20 ms of the one event loop that serves everybody's
// tokens: so often that it costs the engine a fiftieth of its time, within
// bounds.
const (
	scrapeShare = 50
	fastest     = 100 * time.Millisecond
	slowest     = 5 * time.Second
)

// pace is how often an instance's metrics are read.
type pace struct {
	fixed time.Duration // 0: by cost
	cost  time.Duration // what a scrape takes, forgetting
}

// took notes what the last scrape took.
func (p *pace) took(d time.Duration) {
	if p.cost == 0 {
		p.cost = d
		return
	}
	p.cost += (d - p.cost) / 4
}

func (p *pace) interval() time.Duration {
	if p.fixed > 0 {
		return p.fixed
	}
	return min(max(p.cost*scrapeShare, fastest), slowest)
}

// after is the interval after so many failures in a row.
func (p *pace) after(failures int) time.Duration {
	return min(max(p.interval(), fastest)<<min(failures, 6), max(slowest, p.fixed))
}
