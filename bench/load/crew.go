package load

import (
	"time"

	"penstock/bench/workload"
)

// job is one arrival.
type job struct {
	number int
	at     time.Duration
	asked  *workload.Request // nil: a prompt of its own
}

// crew are the workers of requests that do not wait for each other: as many as
// were in flight at once, and MaxInFlight at most. One goroutine gives to it.
type crew struct {
	run  *run
	jobs chan job
	size int
	late int // arrivals that had to wait for a worker
}

func newCrew(r *run) *crew { return &crew{run: r, jobs: make(chan job)} }

// give hands a job to a worker; false: the run ended before there was one.
func (c *crew) give(j job) bool {
	select {
	case c.jobs <- j:
		return true
	default:
	}
	if c.size < c.run.cfg.MaxInFlight {
		c.size++
		c.run.workers.Go(func() { c.serve(j) })
		return true
	}
	c.late++
	select {
	case c.jobs <- j:
		return true
	case <-c.run.ctx.Done():
		return false
	}
}

// serve is a worker's life.
func (c *crew) serve(j job) {
	w := newWorker(c.run)
	defer w.socket.close()
	for ok := true; ok; j, ok = <-c.jobs {
		c.run.do(w, j)
	}
}

// dismiss lets the workers end.
func (c *crew) dismiss() {
	c.run.late = c.late
	close(c.jobs)
}
