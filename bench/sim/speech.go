package sim

import (
	"context"
	"hash/crc32"
	"sync"
)

// speechToken is the sound of one token: 80 ms of PCM16 at 16 kHz.
const speechToken = 2560

// speech is what a session has heard and the engine has not: its reader adds,
// the goroutine of an utterance takes.
type speech struct {
	more chan struct{} // of one place: there is something to take

	mu    sync.Mutex
	pcm   []byte
	ended bool // as far as the client is concerned
	busy  bool // an utterance is under way
}

func newSpeech() speech { return speech{more: make(chan struct{}, 1)} }

func (s *speech) add(pcm []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pcm = append(s.pcm, pcm...)
	s.ring()
}

func (s *speech) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.ring()
}

func (s *speech) ring() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// begin says whether an utterance may begin: there is one at a time.
func (s *speech) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.busy
	s.busy = true
	return !was
}

// done makes room for the next utterance. What came too late for this one is not
// heard.
func (s *speech) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pcm, s.ended, s.busy = nil, false, false
}

// take waits for sound, and returns whole tokens of it; at the end of an
// utterance its rest is one too. ok is false if the client has left.
func (s *speech) take(ctx context.Context) (tokens []uint32, last, ok bool) {
	for {
		if tokens, last = s.cut(); len(tokens) > 0 || last {
			return tokens, last, true
		}
		select {
		case <-ctx.Done():
			return nil, false, false
		case <-s.more:
		}
	}
}

func (s *speech) cut() (tokens []uint32, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pcm) >= speechToken || (s.ended && len(s.pcm) > 0) {
		n := min(len(s.pcm), speechToken)
		tokens = append(tokens, crc32.ChecksumIEEE(s.pcm[:n]))
		s.pcm = s.pcm[n:]
	}
	return tokens, s.ended
}
