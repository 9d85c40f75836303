package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// seen is what came of an ask. Times count from when it went out.
type seen struct {
	TTFT, TPOT             time.Duration
	Prompt, Cached, Output int           // tokens, as the engine counts
	Late                   time.Duration // it went out so much later than it was to
	ID                     string        `json:",omitempty"`
	answer                 string
	model                  string // the name of the engine that answered
}

// client asks one endpoint.
type client struct {
	url, model string
	http       *http.Client
}

const (
	patience = 2 * time.Minute // for an answer
	idle     = 2 * time.Second // of a connection; vLLM closes it after 5
)

func newClient(url, model string) *client {
	return &client{url, model, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, IdleConnTimeout: idle}, Timeout: patience}}
}

// play sends all asks when they are due, however long answers take. It tells how
// many were answered as it goes.
func (c *client) play(ctx context.Context, asks []ask, answered *atomic.Int64) ([]seen, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	all := make([]seen, len(asks))
	var under sync.WaitGroup
	begin := time.Now()
	for n := range asks {
		if !sleepUntil(ctx, begin.Add(asks[n].At)) {
			break
		}
		under.Go(func() {
			var err error
			late := time.Since(begin.Add(asks[n].At))
			all[n], err = c.ask(ctx, &asks[n], "")
			if all[n].Late = late; err != nil {
				stop(fmt.Errorf("request %d: %w", n, err))
			}
			answered.Add(1)
		})
	}
	under.Wait()
	return all, context.Cause(ctx)
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask sends one and reads its answer. An id, if there is one, is the router's to
// know it by.
func (c *client) ask(ctx context.Context, a *ask, id string) (seen, error) {
	body, err := json.Marshal(map[string]any{
		"model": c.model, "messages": a.Messages, "max_tokens": a.Output, "ignore_eos": true,
		"stream": true, "stream_options": map[string]any{"include_usage": true},
	})
	if err != nil {
		return seen{}, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return seen{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if id != "" {
		req.Header.Set("X-Request-Id", id)
	}
	s, sent := seen{ID: id}, time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return s, fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(text))
	}
	return s, s.read(resp.Body, sent)
}

// chunk is what counts of a stream's event.
type chunk struct {
	Model   string
	Choices []struct {
		Delta struct{ Content string }
	}
	Usage *struct {
		Prompt  int `json:"prompt_tokens"`
		Output  int `json:"completion_tokens"`
		Details struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

// read takes the answer in. vLLM's first event says only who speaks; it comes
// with the first token's, which may be of no text.
func (s *seen) read(from io.Reader, sent time.Time) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	var last time.Duration
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok || bytes.Equal(data, []byte("[DONE]")) {
			continue
		}
		now := time.Since(sent)
		var c chunk
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("%q is no chunk: %w", data[:min(len(data), 200)], err)
		}
		s.model = c.Model
		if u := c.Usage; u != nil {
			s.Prompt, s.Cached, s.Output = u.Prompt, u.Details.Cached, u.Output
		}
		if len(c.Choices) == 0 {
			continue
		}
		s.answer += c.Choices[0].Delta.Content
		if s.TTFT == 0 {
			s.TTFT = now
		}
		last = now
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if s.Output == 0 || s.TTFT == 0 {
		return fmt.Errorf("an answer of %d tokens, with usage of %d", len(s.answer), s.Output)
	}
	if s.Output > 1 {
		s.TPOT = (last - s.TTFT) / time.Duration(s.Output-1)
	}
	return nil
}
