package demo

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"
)

// Options are what a demo is made of.
type Options struct {
	Engines *Engines
	Router  Router
	For     time.Duration // 0: until the context ends
	Out     io.Writer
	// Size tells the terminal's columns and rows. nil: Out is none, and gets a
	// line for each event in place of a picture.
	Size func() (columns, rows int)
}

// frameEvery is how often the picture is drawn.
const frameEvery = 250 * time.Millisecond

// show is a demo under way.
type show struct {
	Options
	ctx     context.Context // of the load
	engines *Engines
	traffic traffic
	screen  screen

	elapsed  time.Duration
	act      int           // the next of the story
	round    time.Duration // when this telling of the story began
	slice    time.Duration // when the next slice of the load is due
	events   []event
	boards   []sample // the last seconds, oldest first
	heldMost int64    // since the last burst
}

// sample is a board and when it was seen.
type sample struct {
	at time.Duration
	Board
}

// Run shows the demo until its time is over or ctx ends, and sums it up. A
// terminal is left as it was found.
func Run(ctx context.Context, o Options) error {
	sending, stop := context.WithCancel(ctx)
	s := &show{Options: o, ctx: sending, engines: o.Engines, screen: newScreen(o.Out, o.Size)}
	s.traffic.url = o.Router.URL
	err := s.run(ctx)
	stop()
	s.traffic.runs.Wait()
	s.look()
	return cmp.Or(err, s.screen.close(s), s.sum())
}

func (s *show) run(ctx context.Context) error {
	start := time.Now()
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	for {
		s.elapsed = time.Since(start)
		if s.For > 0 && s.elapsed >= s.For {
			return nil
		}
		if err := s.step(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// step does what is due, looks, and shows.
func (s *show) step() error {
	if s.elapsed >= s.slice {
		s.slice += slice
		s.traffic.steady(s.ctx)
	}
	if err := s.play(); err != nil {
		return err
	}
	s.look()
	return s.screen.show(s)
}

// play does the acts that are due.
func (s *show) play() error {
	length := storyLength
	if s.For > 0 {
		length = s.For
	}
	for {
		if s.act == len(story) {
			if s.elapsed < s.round+length {
				return nil
			}
			s.act, s.round = 0, s.round+length
		}
		next := story[s.act]
		if s.elapsed < s.round+time.Duration(next.at*float64(length)) {
			return nil
		}
		s.act++
		if err := next.do(s); err != nil {
			return fmt.Errorf("the demo's engines: %w", err)
		}
	}
}

// rateOver is what rates are averaged over: tokens are counted at the end of a
// request.
const rateOver = 5 * time.Second

func (s *show) look() {
	now := sample{s.elapsed, s.Router.Look()}
	s.heldMost = max(s.heldMost, now.Pending)
	s.boards = append(s.boards, now)
	for len(s.boards) > 2 && s.boards[1].at <= now.at-rateOver {
		s.boards = s.boards[1:]
	}
}

// board is the latest.
func (s *show) board() Board { return s.boards[len(s.boards)-1].Board }

// perSecond is the rate of a total over the last seconds.
func (s *show) perSecond(total func(*Board) uint64) float64 {
	first, last := &s.boards[0], &s.boards[len(s.boards)-1]
	over := (last.at - first.at).Seconds()
	if over <= 0 {
		return 0
	}
	return float64(total(&last.Board)-total(&first.Board)) / over
}
