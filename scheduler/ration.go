package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// stateLines and otherLines are how many lines of one kind are logged of one
	// instance in rationFor: more than come of a start, or of an outage.
	stateLines = 8
	otherLines = 4
	rationFor  = time.Minute
	// mostWords bounds how many different messages are counted.
	mostWords = 16
)

// ration is the log of one instance. One that flaps would drown all others; of
// what it has to say past its ration, the last is said when the time is over,
// with what was left out. Changes of its state, and warnings, have rations of
// their own: no chatter may cost the line that it is out. Every change is in the
// metrics.
type ration struct {
	slog.Handler // everybody's

	mu    sync.Mutex
	since time.Time      // when the first line of the rations was logged
	lines [4]int         // of each
	left  map[string]int // out, since one was spent: how many of which message
	last  slog.Record    // of them, a change of state where there is one
}

func newRation(log *slog.Logger) *slog.Logger { return slog.New(&ration{Handler: log.Handler()}) }

// ofState says whether the line tells a change of the instance's state: it says
// what that was.
func ofState(line *slog.Record) (is bool) {
	line.Attrs(func(a slog.Attr) bool {
		is = a.Key == "was"
		return !is
	})
	return is
}

// kindOf is which ration the line is of, and how many lines that has.
func kindOf(line *slog.Record) (kind, most int) {
	most = otherLines
	if ofState(line) {
		kind, most = 2, stateLines
	}
	if line.Level >= slog.LevelWarn {
		kind++
	}
	return kind, most
}

// Handle logs a line, or puts it aside.
func (r *ration) Handle(ctx context.Context, line slog.Record) error {
	if line.Level < slog.LevelInfo {
		return r.Handler.Handle(ctx, line)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.left == nil && now.Sub(r.since) >= rationFor {
		r.since, r.lines = now, [4]int{}
	}
	kind, most := kindOf(&line)
	if r.lines[kind] < most {
		r.lines[kind]++
		return r.Handler.Handle(ctx, line)
	}
	if r.left == nil {
		r.left = make(map[string]int)
		time.AfterFunc(r.since.Add(rationFor).Sub(now), r.catchUp)
	}
	if _, known := r.left[line.Message]; known || len(r.left) < mostWords {
		r.left[line.Message]++
	}
	if ofState(&line) || !ofState(&r.last) {
		r.last = line.Clone()
	}
	return nil
}

// catchUp logs the last of the lines that were left out, names the others, and
// begins anew.
func (r *ration) catchUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := r.last
	r.left[line.Message]--
	if others := r.others(); others != "" {
		line.AddAttrs(slog.String("left_out", others))
	}
	r.since, r.lines, r.left, r.last = time.Now(), [4]int{}, nil, slog.Record{}
	kind, _ := kindOf(&line)
	r.lines[kind]++
	_ = r.Handler.Handle(context.Background(), line)
}

// others are what was left out beside the last: "instance is out ×3, …".
func (r *ration) others() string {
	var told []string
	for _, words := range slices.Sorted(maps.Keys(r.left)) {
		if n := r.left[words]; n > 0 {
			told = append(told, fmt.Sprintf("%s ×%d", words, n))
		}
	}
	return strings.Join(told, ", ")
}
