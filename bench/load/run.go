package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// failurePause is how long a client waits who found no endpoint: a closed loop
// must not spin on one that is not there.
const failurePause = 10 * time.Millisecond

// run is one run under way.
type run struct {
	ctx      context.Context
	cfg      Config
	template template
	client   *client
	clock    clock
	record   *record
	said     *answers
	ended    chan<- end // where a script hears of ends; nil: there is none

	workers  sync.WaitGroup
	inFlight atomic.Int64
	next     atomic.Int64 // the number of the next request, in a closed loop
	late     int          // arrivals that had to wait for MaxInFlight
}

// Run loads the endpoint as cfg says and reports. observe, if there is one, is
// called from one goroutine every 200 ms and a last time before Run returns. When
// ctx ends, so does the run: what is under way is cut and the report tells of
// the rest. The error is of the configuration, or of not learning the model; an
// endpoint that fails is in the report.
func Run(ctx context.Context, cfg Config, observe func(Progress)) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	to, err := targetOf(cfg.URL, cfg.WebSocket)
	if err != nil {
		return Report{}, err
	}
	r := &run{ctx: ctx, cfg: cfg.filled(), client: newClient(to), record: newRecord(&cfg), said: newAnswers()}
	defer r.client.close()
	if cfg.Model == "" {
		if r.cfg.Model, err = r.client.firstModel(ctx, cfg.key(0), cfg.Timeout); err != nil {
			return Report{}, err
		}
	}
	r.template = newTemplate(&r.cfg, r.cfg.Model)
	r.clock = clock{time.Now(), cfg.TimeScale}
	r.drive(observe)
	return r.result(), nil
}

// drive runs the loop to its end.
func (r *run) drive(observe func(Progress)) {
	stop := context.AfterFunc(r.ctx, r.client.close)
	defer stop()
	if observe != nil {
		loop, ended := context.WithCancel(context.Background())
		var observer sync.WaitGroup
		observer.Go(func() { r.report(loop, observe) })
		defer observer.Wait()
		defer ended()
	}
	switch {
	case r.cfg.Workload != nil:
		r.workers.Go(r.newScript().play)
	case r.cfg.Rate > 0:
		r.workers.Go(r.open)
	default:
		r.closed()
	}
	r.workers.Wait()
}

// open sends requests when they arrive, however many are in flight. It is a
// goroutine's whole life.
func (r *run) open() {
	punctual()
	crew := newCrew(r)
	defer crew.dismiss()
	times := newArrivals(r.cfg.Rate, r.cfg.Ramp, r.cfg.Seed)
	for i := 0; r.cfg.Requests == 0 || i < r.cfg.Requests; i++ {
		at := times.next()
		if r.cfg.Duration > 0 && at >= r.cfg.Duration {
			r.clock.sleepUntil(r.ctx, r.cfg.Duration)
			return
		}
		if !r.clock.sleepUntil(r.ctx, at) || !crew.give(job{number: i, at: at}) {
			return
		}
	}
}

// closed keeps Concurrency requests in flight.
func (r *run) closed() {
	for n := range r.cfg.Concurrency {
		r.workers.Go(func() {
			r.clock.sleepUntil(r.ctx, r.cfg.Ramp*time.Duration(n)/time.Duration(r.cfg.Concurrency))
			w := newWorker(r)
			defer w.socket.close()
			for r.ctx.Err() == nil {
				number, now := int(r.next.Add(1)-1), r.clock.now()
				if r.cfg.Requests > 0 && number >= r.cfg.Requests || r.cfg.Duration > 0 && now >= r.cfg.Duration {
					return
				}
				r.clock.sleepUntil(r.ctx, r.do(w, job{number: number, at: now}))
			}
		})
	}
}

// do has a request sent, and says when its client may go on.
func (r *run) do(w *worker, j job) (free time.Duration) {
	r.inFlight.Add(1)
	defer r.inFlight.Add(-1)
	w.do(j)
	free = w.sample.ended
	if w.sample.class == classConnect {
		free += time.Duration(float64(failurePause) * r.clock.scale)
	}
	if r.ended == nil {
		return free
	}
	select {
	case r.ended <- end{j.asked, free}:
	case <-r.ctx.Done():
	}
	return free
}
