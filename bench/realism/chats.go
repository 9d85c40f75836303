package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// What the conversations are like. They go on with what was answered, so that a
// next turn comes when the one before has its answer.
const (
	chatsRate   = 1.5 // of new ones, a second
	chatsLast   = 60 * time.Second
	turns       = 5
	pause       = 2 * time.Second // between an answer and the next turn, mean
	systemCount = 6
)

// turn is one request of a conversation.
type turn struct {
	seen
	number int // from 0
}

// conversations plays all of them, and returns their turns.
func conversations(ctx context.Context, c *client, answered *atomic.Int64) ([]turn, error) {
	d := rand.New(rand.NewPCG(seed, 0xc4a7))
	systems := make([]string, systemCount)
	for n := range systems {
		systems[n] = text(d, 1500)
	}
	begins := poisson(d, chatsRate, chatsLast, false, func() ask { return chat(d, systems[d.IntN(len(systems))], 600, 60) })
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	all := make([][]turn, len(begins))
	var under sync.WaitGroup
	start := time.Now()
	for n := range begins {
		own := rand.New(rand.NewPCG(seed, 0x7a1c+uint64(n)))
		under.Go(func() {
			var err error
			if sleepUntil(ctx, start.Add(begins[n].At)) {
				if all[n], err = converse(ctx, c, begins[n], n, own, answered); err != nil {
					stop(fmt.Errorf("conversation %d: %w", n, err))
				}
			}
		})
	}
	under.Wait()
	var list []turn
	for _, turns := range all {
		list = append(list, turns...)
	}
	return list, context.Cause(ctx)
}

// converse says one thing after the other.
func converse(ctx context.Context, c *client, a ask, n int, d *rand.Rand, answered *atomic.Int64) (all []turn, err error) {
	for k := range turns {
		s, err := c.ask(ctx, &a, fmt.Sprintf("chat-%d-%d", n, k))
		if err != nil {
			return all, err
		}
		answered.Add(1)
		all = append(all, turn{s, k})
		a.Messages = append(a.Messages, message{"assistant", s.answer}, message{"user", text(d, lengths(d, 120, 0.7, 600))})
		if !sleepUntil(ctx, time.Now().Add(time.Duration(d.ExpFloat64()*float64(pause)))) {
			break
		}
	}
	return all, nil
}
