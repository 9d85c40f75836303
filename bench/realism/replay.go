package main

import (
	"time"

	"penstock/bench/model"
)

// replay is what the model says would come of the asks, which are in the order
// of their arrival.
func replay(p model.Profile, asks []ask) ([]seen, error) {
	e, err := model.New(p)
	if err != nil {
		return nil, err
	}
	all := make([]seen, len(asks))
	coming, now := 0, time.Duration(0)
	submit := func(until time.Duration) error {
		for ; coming < len(asks) && asks[coming].At <= until; coming++ {
			if _, err := e.Submit(asks[coming].At, asks[coming].request(p.BlockSize, coming)); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		if err := submit(now); err != nil {
			return nil, err
		}
		step, busy := e.Begin(now)
		if !busy {
			next, some := e.Next()
			switch {
			case coming < len(asks) && (!some || asks[coming].At < next):
				next = asks[coming].At
			case !some:
				return all, nil
			}
			now = next
			continue
		}
		now += step.Duration
		if err := submit(now); err != nil {
			return nil, err
		}
		for _, s := range e.End(now) {
			if s.Finished() {
				all[s.Owner().(int)] = foretold(s)
			}
		}
	}
}

// request is what the model is asked. Nothing that is generated is asked for
// again: each block of it is one of its kind.
func (a *ask) request(blockSize, n int) model.Request {
	if a.blocks == nil {
		a.hash(blockSize)
	}
	own := uint64(n) << 20
	output := func() model.Hash { own++; return model.Hash(model.Mix(own)) }
	return model.Request{PromptTokens: len(a.Tokens), MaxTokens: a.Output, Blocks: a.blocks, Output: output, Owner: n}
}

// hash names the prompt's full blocks.
func (a *ask) hash(blockSize int) {
	var h model.Hasher
	a.blocks = make([]model.Hash, 0, len(a.Tokens)/blockSize)
	for _, t := range a.Tokens {
		if h.Add(t); h.Tokens()%blockSize == 0 {
			a.blocks = append(a.blocks, h.Sum())
		}
	}
}

func foretold(s *model.Sequence) seen {
	t := s.Times()
	r := seen{TTFT: t.FirstToken - t.Arrived, Prompt: s.PromptTokens(), Cached: s.Cached(), Output: s.Generated()}
	if r.Output > 1 {
		r.TPOT = (t.Finished - t.FirstToken) / time.Duration(r.Output-1)
	}
	return r
}
