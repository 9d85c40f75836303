package record

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MostCandidates is how many a decision keeps at most.
	MostCandidates = 64
	// fewCandidates is how many it keeps that goes into no file: each takes 30 ns
	// of a request's time.
	fewCandidates = 16
	// mostText bounds what clients name: a request's id, a model.
	mostText = 128
	// mostBlocks bounds a prompt's.
	mostBlocks = 1 << 16
)

// The verdicts, as they are called outside.
const (
	Picked     = "picked"
	Full       = "full"
	NoInstance = "no_instance"
	NoModel    = "no_model"
	Hopeless   = "hopeless"
	Refused    = "refused" // no decision: what the gateway told the client in the end
)

// Decision is what was known when it was decided who gets a request, and what
// came of it.
type Decision struct {
	Seq       uint64    `json:"seq"` // counts the process's decisions
	RequestID string    `json:"request_id"`
	Time      time.Time `json:"time"`
	Verdict   string    `json:"verdict"`
	Instance  string    `json:"instance"` // of full, that it would have been
	Policy    string    `json:"policy"`
	Reason    string    `json:"reason"`
	Degraded  string    `json:"degraded"`         // signals it had to do without
	Try       int32     `json:"try"`              // 1: nobody had it before
	Unheld    bool      `json:"unheld,omitempty"` // of full: nothing may be held
	Status    int32     `json:"status,omitempty"` // of refused
	Code      string    `json:"code,omitempty"`   // likewise

	Model       string `json:"model"`
	Key         string `json:"key,omitempty"`
	Priority    int32  `json:"priority"`
	Stream      bool   `json:"stream"`
	Prompt      int32  `json:"prompt_tokens"`
	Blocks      int32  `json:"prompt_blocks"`
	BlockTokens int32  `json:"block_tokens"`
	PromptHash  Hash   `json:"prompt_hash,omitempty"` // of its first blocks: alike prompts have the same
	Session     Hash   `json:"session,omitempty"`
	Chance      Hash   `json:"chance"`     // that the policy had, so that a replay has the same
	Max         int32  `json:"max_tokens"` // -1: not said
	Expected    int32  `json:"expected_tokens"`

	Pending    float32 `json:"pending_ms"`
	TTFT       float32 `json:"predicted_ttft_ms,omitempty"` // since the decision; of hopeless, the least there was
	Actual     float32 `json:"actual_ttft_ms,omitempty"`    // likewise; without stream, of the whole answer
	Unanswered bool    `json:"unanswered,omitempty"`        // the try failed, the engine answered with an error, or the client left before

	Socket *Socket `json:"websocket,omitempty"` // it passes through: it has no tokens

	Considered int32       `json:"considered"`      // of them, the cheapest are kept
	Full       int32       `json:"full,omitempty"`  // others, that take nothing now
	Spare      int32       `json:"spare,omitempty"` // others, that are starting, suspect or returning
	Candidates []Candidate `json:"candidates"`

	key int // its number
}

// Candidate is an instance as it was seen. Times are 0 where nothing was
// predicted, for the policy needs none.
type Candidate struct {
	Instance string  `json:"instance"`
	TTFT     float32 `json:"predicted_ttft_ms,omitempty"`
	Cost     float32 `json:"cost_ms,omitempty"` // what the request takes there, and takes from others
	Wait     float32 `json:"wait_ms,omitempty"` // until its prompt is begun
	Short    float32 `json:"short_ms,omitempty"`
	Token    float32 `json:"us_per_token,omitempty"` // of a prompt
	KVUsage  float32 `json:"kv_usage"`

	Fresh    int32 `json:"fresh_tokens,omitempty"` // of the prompt, that it would have to compute
	Hits     int32 `json:"hit_blocks"`             // of the prompt, that it has
	Cached   int32 `json:"cached_blocks"`          // in all
	Ahead    int32 `json:"tokens_ahead"`           // to compute before
	Backlog  int32 `json:"backlog_tokens"`         // of them, ours
	Compute  int32 `json:"compute_tokens"`         // ours that have no first byte, whole
	Keep     int32 `json:"kept_tokens"`
	Tokens   int32 `json:"work_tokens"` // prompts without a first byte, answers to come
	KVTokens int32 `json:"kv_capacity_tokens"`
	InFlight int32 `json:"in_flight"`
	Streams  int32 `json:"streams"` // of those in flight, past their first byte
	Foreign  int32 `json:"foreign"` // requests of others
	Waiting  int32 `json:"waiting"`
	Ages     Ages  `json:"ages_ms"`
	Ready    bool  `json:"ready"`
	Full     bool  `json:"full"`
}

// Ages are those of the engine's signals that were believed, in ms; -1: it was
// not, or never heard.
type Ages [len(ageNames)]int32

var ageNames = [...]string{"running", "waiting", "kv_usage", "tokens", "prefix"}

// MarshalJSON leaves out what was not believed.
func (a Ages) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for n, age := range a {
		if age >= 0 {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(strconv.AppendQuote(b, ageNames[n]), ':')
			b = strconv.AppendInt(b, int64(age), 10)
		}
	}
	return append(b, '}'), nil
}

// UnmarshalJSON is the reverse.
func (a *Ages) UnmarshalJSON(b []byte) error {
	var told map[string]int32
	if err := json.Unmarshal(b, &told); err != nil {
		return err
	}
	for n, name := range ageNames {
		a[n] = -1
		if age, ok := told[name]; ok {
			a[n] = max(age, -1)
		}
	}
	return nil
}

// Hash is 64 bits, in JSON of 16 hexadecimal digits: its readers have no
// integers so large.
type Hash uint64

// MarshalText writes the digits.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText reads them.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 16, 64)
	*h = Hash(v)
	return err
}

// Predicted says whether every candidate was foreseen, so that they can be
// compared.
func (d *Decision) Predicted() bool {
	for n := range d.Candidates {
		if d.Candidates[n].Cost == 0 {
			return false
		}
	}
	return len(d.Candidates) > 0
}

// Chosen is where among the candidates the instance is; -1: it is not.
func (d *Decision) Chosen() int {
	for n := range d.Candidates {
		if d.Candidates[n].Instance == d.Instance {
			return n
		}
	}
	return -1
}

// tidy makes it fit to be told: JSON knows neither infinities nor what is a hair
// off nor years of five digits, a terminal takes some characters for orders, and
// what was counted too far to be held is negative.
func (d *Decision) tidy() {
	d.Time = d.Time.UTC().Truncate(time.Microsecond)
	if y := d.Time.Year(); y < 1 || y > 9999 {
		d.Time = time.Time{}
	}
	for _, s := range d.words() {
		*s = clean(*s)
	}
	tidy(&d.Pending, &d.TTFT, &d.Actual)
	if d.Socket != nil {
		d.Socket.tidy()
	}
	for _, n := range d.counts() {
		*n = max(*n, 0)
	}
	d.Blocks = min(d.Blocks, mostBlocks)
	for n := range d.Candidates {
		c := &d.Candidates[n]
		c.Instance = clean(c.Instance)
		tidy(&c.TTFT, &c.Cost, &c.Wait, &c.Short, &c.Token, &c.KVUsage)
		for _, n := range c.counts() {
			*n = max(*n, 0)
		}
	}
}

func (d *Decision) words() [9]*string {
	return [...]*string{&d.RequestID, &d.Instance, &d.Policy, &d.Reason, &d.Degraded, &d.Model, &d.Key, &d.Verdict, &d.Code}
}

func (d *Decision) counts() [3]*int32 { return [...]*int32{&d.Prompt, &d.Blocks, &d.BlockTokens} }

func (c *Candidate) counts() [11]*int32 {
	return [...]*int32{&c.Fresh, &c.Hits, &c.Cached, &c.Ahead, &c.Compute, &c.Tokens, &c.KVTokens, &c.InFlight, &c.Streams, &c.Foreign, &c.Waiting}
}

// clean is s without what is no text.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// mostTime bounds all times, in ms: nobody waits for a year.
const mostTime = 365 * 24 * 3600 * 1e3

func tidy(values ...*float32) {
	for _, v := range values {
		*v = float32(math.Round(min(max(float64(*v), 0), mostTime)*1e3) / 1e3)
		if *v != *v {
			*v = 0
		}
	}
}

// check says what is wrong with one that a file has: nothing with any that was
// tidy.
func (d *Decision) check() error {
	switch {
	case len(d.Candidates) > MostCandidates:
		return fmt.Errorf("%d candidates: %d is the most", len(d.Candidates), MostCandidates)
	case d.Blocks < 0 || d.Blocks > mostBlocks:
		return fmt.Errorf("prompt_blocks: %d is out of range: 0 to %d", d.Blocks, mostBlocks)
	case d.Prompt < 0 || d.BlockTokens < 0:
		return fmt.Errorf("prompt_tokens, block_tokens: negative")
	}
	for n := range d.Candidates {
		c := &d.Candidates[n]
		if len(c.Instance) == 0 || len(c.Instance) > maxName {
			return fmt.Errorf("candidates[%d].instance: a name of 1 to %d bytes", n, maxName)
		}
		for _, v := range c.counts() {
			if *v < 0 {
				return fmt.Errorf("candidates[%d]: a negative number", n)
			}
		}
	}
	d.tidy()
	return nil
}

// maxName bounds an instance's name in a file.
const maxName = 1 << 10
