package sim

import (
	"slices"
	"strings"

	"penstock/bench/model"
)

// prompt is what the model needs of one: how many tokens, the hashes of their
// blocks, and where their hash stands at the end. The tokens are not kept.
type prompt struct {
	model.Hasher
	blockSize int
	blocks    []model.Hash
}

func (p *prompt) add(token uint32) {
	p.Add(token)
	if p.Tokens()%p.blockSize == 0 {
		p.blocks = append(p.blocks, p.Sum())
	}
}

func newPrompt(blockSize, bytes int) *prompt {
	return &prompt{blockSize: blockSize, blocks: make([]model.Hash, 0, bytes/(4*blockSize)+1)}
}

// textPrompt reads a text or a list of token ids.
func textPrompt(t text, blockSize int) *prompt {
	p := newPrompt(blockSize, len(t.text)+4*len(t.ids))
	t.each(p.add)
	return p
}

// chatPrompt reads messages as a chat template would put them: the role, the
// text, an end; then the role of who answers. An answer that comes back as a
// message continues the very same tokens.
func chatPrompt(messages []message, blockSize int) *prompt {
	p := newPrompt(blockSize, chatSize(messages))
	eachChatToken(messages, p.add)
	return p
}

func eachChatToken(messages []message, f func(uint32)) {
	for _, m := range messages {
		f(roleToken(m.Role))
		eachToken(m.Content.text, f)
		for range m.Content.media {
			f(tokenMedia)
		}
		f(tokenEndOfTurn)
	}
	f(roleToken("assistant"))
}

func chatSize(messages []message) (bytes int) {
	for _, m := range messages {
		bytes += len(m.Content.text) + 8
	}
	return bytes
}

// output is what will be said to a prompt: it is fixed before the first token.
type output struct {
	seed   uint64
	tokens int    // how many
	bytes  int    // of text, where a stop string cuts it; else 4 for each token
	reason string // it ends with
	stop   string // the stop string it ends with, if it does
}

// word is the text of the n-th token, and its number in words: the prompt and
// the position decide alone.
func (o *output) word(n int) int { return int(model.Mix(o.seed+uint64(n)) % uint64(len(words))) }

// text is what the n-th token adds to the answer.
func (o *output) text(n int) string {
	w := words[o.word(n)]
	return w[:max(0, min(len(w), o.bytes-4*n))]
}

// blocks returns the model's Request.Output: it goes on where the prompt ended.
func (o *output) blocks(p *prompt) func() model.Hash {
	h, n := p.Hasher, 0
	return func() model.Hash {
		for more := true; more; more = h.Tokens()%p.blockSize != 0 {
			h.Add(wordTokens[o.word(n)])
			n++
		}
		return h.Sum()
	}
}

// cutAt ends the output with the token that completes the first of the stop
// strings; its text ends before that.
func (o *output) cutAt(stops []string) {
	if len(stops) == 0 {
		return
	}
	said, end := o.all(), o.bytes+1
	for _, s := range stops {
		if begin := strings.Index(said, s); begin >= 0 && begin+len(s) < end {
			end = begin + len(s)
			o.bytes, o.reason, o.stop = begin, reasonStop, s
		}
	}
	o.tokens = min(o.tokens, (end+3)/4)
}

// all is the text of all tokens.
func (o *output) all() string {
	var b strings.Builder
	b.Grow(o.bytes)
	for n := range o.tokens {
		b.WriteString(o.text(n))
	}
	return b.String()
}

// Reasons of an end, as the engines name them.
const (
	reasonStop   = "stop"
	reasonLength = "length"
	reasonAbort  = "abort"
)

var reasons = []string{reasonStop, reasonLength, reasonAbort, "error", "repetition"}

func reasonIndex(reason string) int { return slices.Index(reasons, reason) }
