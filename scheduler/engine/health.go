package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// generateTimeout bounds Generate: behind a full batch even one token takes
// its time.
const generateTimeout = 30 * time.Second

// Health returns nil if the engine answers its health check with 200. ErrLoading
// and ErrScaling are engines that will answer by themselves; the 503 of a dead
// one is a StatusError.
func (c *Client) Health(ctx context.Context) error {
	return c.get(ctx, c.deadline(ctx), c.health)
}

// Generate has the engine do the smallest real piece of work, one token, and
// returns nil only if that went well: a hung engine still answers Health. A
// model of "" leaves the choice to the engine. An answer such as 400 or 404
// proves nothing and is ErrStatus.
func (c *Client) Generate(ctx context.Context, model string) error {
	deadline := deadlineWithin(ctx, generateTimeout)
	if c.profile != nil && c.profile.generate != "" {
		err := c.get(ctx, deadline, c.target(c.base+c.profile.generate))
		if !isStatus(err, http.StatusNotFound) {
			return err
		}
	}
	path := c.base + "/v1/completions"
	return c.get(ctx, deadline, target{method: http.MethodPost, path: path, request: c.post(path, ping(model))})
}

// ping is the body of Generate's request.
func ping(model string) []byte {
	body, err := json.Marshal(struct {
		Model       string  `json:"model,omitempty"`
		Prompt      string  `json:"prompt"`
		MaxTokens   int     `json:"max_tokens"`
		Temperature float64 `json:"temperature"`
	}{model, "ping", 1, 0})
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	return body
}

// post is a whole request with body.
func (c *Client) post(path string, body []byte) []byte {
	head := "POST " + path + " HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	return append([]byte(head+c.fields), body...)
}

// maxReason is how much of a 503's body is looked at.
const maxReason = 1 << 10

// unavailable says why a 503 was given, if it is one that passes: nil if not.
func unavailable(body []byte) error {
	said := bytes.ToLower(body[:min(len(body), maxReason)])
	switch {
	case bytes.Contains(said, []byte("scaling")): // vLLM's elastic expert parallelism
		return ErrScaling
	case bytes.Contains(said, []byte("loading")), bytes.Contains(said, []byte("starting")): // llama.cpp: "Loading model"
		return ErrLoading
	}
	return nil
}

// check is the error of an answer other than 200.
func (c *Client) check(status int) error {
	if status == http.StatusServiceUnavailable {
		if why := unavailable(c.wire.body()); why != nil {
			return fmt.Errorf("status %d: %w", status, why)
		}
	}
	if status != http.StatusOK {
		return &StatusError{Code: status, Location: c.wire.location()}
	}
	return nil
}
