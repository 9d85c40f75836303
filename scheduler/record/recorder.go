package record

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"penstock/scheduler/telemetry"
)

const (
	// passEvery is how often the ring is looked through. With RecorderSlots, up to
	// 80,000 decisions a second are followed.
	passEvery = 50 * time.Millisecond
	// flushEvery bounds what is lost if the process ends badly.
	flushEvery = time.Second
	// answerWithin is how long a decision waits for its answer's first byte.
	answerWithin = time.Minute
	// endWithin is how long the end of a recording may take: a disk that hangs
	// must not keep the process.
	endWithin = 5 * time.Second
)

// Recorder follows a ring into a file. The ring is all the buffer there is: who
// decides never waits, and what the disk is too slow for is overwritten there,
// and counted.
type Recorder struct {
	ring *Ring
	file *file
	log  *slog.Logger

	seen    uint64    // decisions up to here are in open, or done
	open    []pending // to be written
	flushed time.Time
	failed  bool // nothing more can be written
	dirty   bool
	grace   time.Duration // for the end

	written, dropped telemetry.Counter
	told             atomic.Uint64 // the most that was said to be lost
}

// pending is a decision that waits to be written.
type pending struct {
	seq  uint64
	at   time.Time // zero: not read yet
	done bool      // no first byte is to come
}

// NewRecorder begins a recording.
func NewRecorder(path string, ring *Ring, log *slog.Logger) (*Recorder, error) {
	f, err := create(path, MostBytes)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	return &Recorder{ring: ring, file: f, log: log, grace: endWithin}, nil
}

// Run records until ctx ends, and then what is still there. A disk that hangs
// for too long then is left with the goroutine that nothing can wake.
func (r *Recorder) Run(ctx context.Context) {
	r.log.Info("decisions are recorded", "file", r.file.path)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.follow(ctx)
	}()
	<-ctx.Done()
	select {
	case <-ended:
	case <-time.After(r.grace):
		r.log.Error("the recording was not ended, and lacks its last decisions: its disk hangs", "dropped", r.lost())
	}
}

// follow records until ctx ends.
func (r *Recorder) follow(ctx context.Context) {
	tick := time.NewTicker(passEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			r.pass(now, false)
		case <-ctx.Done():
			r.pass(time.Now(), true)
			r.end()
			return
		}
	}
}

// pass writes what is ready; at the end, all.
func (r *Recorder) pass(now time.Time, last bool) {
	head, size := r.ring.head.Load(), uint64(len(r.ring.slots))
	if head > r.seen+size { // they were never looked at
		r.dropped.Add(head - size - r.seen)
		r.seen = head - size
	}
	for r.seen < head {
		r.seen++
		r.open = append(r.open, pending{seq: r.seen})
	}
	left := r.open[:0]
	for _, o := range r.open {
		switch {
		case r.failed, head-o.seq >= size:
			r.dropped.Inc()
		case r.ready(&o, now, head) || last:
			if !r.write(o.seq) {
				if r.failed || last {
					r.dropped.Inc()
				} else {
					left = append(left, o) // it is being written to the ring, or read
				}
			}
		default:
			left = append(left, o)
		}
	}
	r.open = left
	if r.dirty && !r.failed && now.Sub(r.flushed) >= flushEvery {
		r.flushed, r.dirty = now, false
		r.check(r.file.flush())
	}
}

// ready says whether nothing more is to be known, or there is no time to wait
// for it.
func (r *Recorder) ready(o *pending, now time.Time, head uint64) bool {
	if r.ring.answered(o.seq) != 0 || head-o.seq > uint64(len(r.ring.slots))/2 {
		return true
	}
	if o.at.IsZero() {
		r.ring.look(o.seq, func(e *Entry) { o.at, o.done = e.Time, e.Verdict != Picked })
	}
	return o.done || !o.at.IsZero() && now.Sub(o.at) > answerWithin
}

func (r *Recorder) write(seq uint64) bool {
	var d Decision
	if !r.ring.look(seq, func(e *Entry) { d = r.ring.copy(e) }) {
		return false
	}
	if r.check(r.file.add(&d)); r.failed {
		return false
	}
	r.dirty = true
	r.written.Inc()
	return true
}

// check gives up with the disk's first no: a file with a hole is none.
func (r *Recorder) check(err error) {
	if err != nil && !r.failed {
		r.failed = true
		r.log.Error("decisions are not recorded any more", "err", err)
	}
}

func (r *Recorder) end() {
	err := r.file.close()
	r.check(err)
	if n := r.lost(); n > 0 {
		r.log.Warn("the recording has ended, and lacks some decisions", "file", r.file.path, "recorded", r.written.Load(), "dropped", n)
	} else if !r.failed {
		r.log.Info("the recording has ended", "file", r.file.path, "recorded", r.written.Load())
	}
}

// lost is how many decisions are not in the file, and will not be. While a write
// hangs nobody counts them: but what was neither written nor dropped can only be
// in the ring, save one that is being written. That is the least, and never less
// than was told before.
func (r *Recorder) lost() uint64 {
	head := r.ring.head.Load()
	written, lost := r.written.Load(), r.dropped.Load()
	lost = max(lost, head-min(head, uint64(len(r.ring.slots))+1+written))
	for {
		told := r.told.Load()
		if lost <= told || r.told.CompareAndSwap(told, lost) {
			return max(lost, told)
		}
	}
}

// Collect writes the recording's metrics.
func (r *Recorder) Collect(w *telemetry.Writer) {
	w.Family("penstock_records_total", "counter", "Decisions written to the file of --record.")
	w.Int("penstock_records_total", int64(r.written.Load()))
	w.Family("penstock_records_dropped_total", "counter", "Decisions that are not in the file of --record: the disk was too slow, or failed.")
	w.Int("penstock_records_dropped_total", int64(r.lost()))
}
