package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// rationLines is how many lines are logged of one instance in rationFor:
	// more than come of a start, or of an outage.
	rationLines = 8
	rationFor   = time.Minute
)

// ration is the log of one instance. One that flaps would drown all others; of
// what it has to say past its ration, the last is said when the time is over,
// with how many were left out. Every change is in the metrics.
type ration struct {
	slog.Handler // everybody's

	mu    sync.Mutex
	since time.Time // when the first line of the ration was logged
	lines int       // of it
	left  int       // out, since it was spent
	last  slog.Record
}

func newRation(log *slog.Logger) *slog.Logger { return slog.New(&ration{Handler: log.Handler()}) }

// Handle logs a line, or puts it aside.
func (r *ration) Handle(ctx context.Context, line slog.Record) error {
	if line.Level < slog.LevelInfo {
		return r.Handler.Handle(ctx, line)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.left == 0 && now.Sub(r.since) >= rationFor {
		r.since, r.lines = now, 0
	}
	if r.lines < rationLines {
		r.lines++
		return r.Handler.Handle(ctx, line)
	}
	if r.left == 0 {
		time.AfterFunc(r.since.Add(rationFor).Sub(now), r.catchUp)
	}
	r.left++
	r.last = line.Clone()
	return nil
}

// catchUp logs the last of the lines that were left out, and begins anew.
func (r *ration) catchUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := r.last
	if r.left > 1 {
		line.AddAttrs(slog.Int("left_out", r.left-1))
	}
	r.since, r.lines, r.left, r.last = time.Now(), 1, 0, slog.Record{}
	_ = r.Handler.Handle(context.Background(), line)
}
