package demo

import (
	"fmt"
	"time"
)

// storyLength is how long the story takes; without an end it begins anew.
const storyLength = time.Minute

// act is one thing that happens: at this part of the story.
type act struct {
	at float64
	do func(*show) error
}

var story = []act{
	{0, (*show).begin},
	{0.2, (*show).burst},
	{0.5, (*show).kill},
	{0.7, (*show).revive},
}

// event is what a reader is told of an act. The sentence may go on while the
// consequences show.
type event struct {
	at       time.Duration
	sentence func(*show) string
}

func (s *show) begin() error {
	for i := range s.events { // what comes now is no consequence of theirs
		told := s.events[i].sentence(s)
		s.events[i].sentence = func(*show) string { return told }
	}
	s.tell(func(*show) string {
		return "Chats and a few long documents. Each goes where it is predicted to cost the least time; gpu-4 is half as fast and gets less."
	})
	return nil
}

func (s *show) burst() error {
	before := s.traffic.read()
	s.heldMost = 0
	s.traffic.burst(s.ctx)
	s.tell(func(s *show) string {
		return fmt.Sprintf("%d requests at once, more than the engines run. The rest is held in the router and decided on again as engines free up: %d at most, %d refused.",
			burstSize, s.heldMost, s.traffic.read().rejected-before.rejected)
	})
	return nil
}

func (s *show) kill() error {
	before := s.traffic.read()
	s.tell(func(s *show) string {
		now := s.traffic.read()
		told := fmt.Sprintf("gpu-3 was killed; its requests went elsewhere; %d failed.", now.failed-before.failed)
		if cut := now.cut - before.cut; cut > 0 {
			told += fmt.Sprintf(" %s had begun: cut off, with an error event.", answers(cut))
		}
		return told
	})
	return s.engines.kill()
}

func (s *show) revive() error {
	s.tell(func(*show) string { return "gpu-3 is back: it gets a little at first, and soon its share." })
	return s.engines.revive()
}

func (s *show) tell(sentence func(*show) string) {
	s.events = append(s.events, event{at: s.elapsed, sentence: sentence})
}

func answers(n int) string {
	if n == 1 {
		return "1 answer"
	}
	return fmt.Sprintf("%d answers", n)
}
