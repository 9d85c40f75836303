package load

import (
	"context"
	"time"
)

// progressEvery is how often a run tells how far it is.
const progressEvery = 200 * time.Millisecond

// Progress is how far a run is.
type Progress struct {
	Elapsed  time.Duration
	Done     float64 // 0 to 1: of the requests or of the time, whichever is further; of a workload about; 1 at the end
	InFlight int

	Requests, Completed, Rejected, Errors int // ended, and how
	Warm                                  int // ended besides, to fill caches
	OutputTokens                          int64
}

// report calls observe now and then until ctx ends, then once with the end.
func (r *run) report(ctx context.Context, observe func(Progress)) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			observe(r.progress())
		case <-ctx.Done():
			p := r.progress()
			p.Done = 1
			observe(p)
			return
		}
	}
}

func (r *run) progress() Progress {
	rec := r.record
	rec.mu.Lock()
	defer rec.mu.Unlock()
	p := Progress{
		Elapsed: r.clock.now(), InFlight: int(r.inFlight.Load()),
		Requests: rec.requests, Completed: rec.completed, Rejected: rec.rejected,
		Errors: rec.requests - rec.completed - rec.rejected, OutputTokens: rec.outputTokens, Warm: rec.warm,
	}
	if w := r.cfg.Workload; w != nil {
		p.Done = min(float64(p.Requests+p.Warm)/float64(max(w.Total(r.cfg.params()), 1)), 1)
		return p
	}
	if r.cfg.Requests > 0 {
		p.Done = float64(p.Requests) / float64(r.cfg.Requests)
	}
	if r.cfg.Duration > 0 {
		p.Done = max(p.Done, float64(p.Elapsed)/float64(r.cfg.Duration))
	}
	p.Done = min(p.Done, 1)
	return p
}
