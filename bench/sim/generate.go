package sim

import (
	"fmt"
	"math"
	"net/http"
	"slices"

	"penstock/bench/model"
)

// Lengths of answers that no max_tokens fixes: as in ShareGPT, many are short
// and some are long.
const (
	meanOutput = 190
	mostOutput = 2048
	// completionTokens is what OpenAI's completions stop at by default.
	completionTokens = 16
)

const (
	mostChoices = 256
	mostStops   = 32
)

func (i *Instance) completions(w http.ResponseWriter, r *http.Request) {
	a, ok := i.ask(w, r)
	if !ok {
		return
	}
	if a.Prompt == nil {
		i.fail(w, missing("prompt"))
		return
	}
	if len(a.Prompt) > mostChoices {
		i.fail(w, badRequest(fmt.Sprintf("%d prompts, want at most %d", len(a.Prompt), mostChoices)))
		return
	}
	var prompts []*prompt
	for _, t := range a.Prompt {
		prompts = append(prompts, textPrompt(t, i.profile.BlockSize))
	}
	most := completionTokens
	if a.MaxTokens != nil {
		most = *a.MaxTokens
	}
	i.generate(w, r, a, prompts, &most, &i.dialect.completion)
}

func (i *Instance) chatCompletions(w http.ResponseWriter, r *http.Request) {
	a, ok := i.ask(w, r)
	if !ok {
		return
	}
	if a.Messages == nil {
		i.fail(w, missing("messages"))
		return
	}
	most := a.MaxCompletion
	if most == nil {
		most = a.MaxTokens
	}
	i.generate(w, r, a, []*prompt{chatPrompt(a.Messages, i.profile.BlockSize)}, most, &i.dialect.chat)
}

// generate answers an ask whose prompts are known. most is max_tokens, nil if
// the model decides when to stop.
func (i *Instance) generate(w http.ResponseWriter, r *http.Request, a *ask, prompts []*prompt, most *int, words *wording) {
	n := 1
	if a.N != nil {
		n = *a.N
	}
	if p, wrong := i.wrong(a, prompts, most, n); wrong {
		i.fail(w, p)
		return
	}
	c := newCall(n*len(prompts), bool(a.Stream))
	for k := range c.choices {
		x := &c.choices[k]
		x.call, x.prompt = c, prompts[k/n]
		x.output = i.plan(x.prompt, k%n, most, a)
	}
	if err := i.submit(c); err != nil {
		i.fail(w, badRequest(err.Error()))
		return
	}
	defer i.leave(r, c)
	t := i.talk(w, r, a, c, words)
	if a.Stream {
		t.stream()
	} else {
		t.whole()
	}
}

// leave ends what a request still has in the engine: its client has gone, or its
// connection was cut.
func (i *Instance) leave(r *http.Request, c *call) {
	if i.abandon(c) && r.Context().Err() != nil {
		i.aborted.Add(1)
	}
}

// wrong checks what vLLM checks before it starts.
func (i *Instance) wrong(a *ask, prompts []*prompt, most *int, n int) (problem, bool) {
	switch {
	case n < 1 || n*len(prompts) > mostChoices:
		return badRequest(fmt.Sprintf("n must be at least 1 and give at most %d choices, got %d.", mostChoices, n)), true
	case most != nil && *most < 1:
		p := badRequest(fmt.Sprintf("max_tokens must be at least 1, got %d.", *most))
		p.param = "max_tokens"
		return p, true
	case a.StreamOptions != nil && !bool(a.Stream):
		return badRequest("Stream options can only be defined when `stream=True`."), true
	case len(a.Stop) > mostStops:
		return badRequest(fmt.Sprintf("%d stop strings, want at most %d", len(a.Stop), mostStops)), true
	case len(prompts) == 0:
		return badRequest("You must provide at least one prompt."), true
	}
	for _, p := range prompts {
		switch tokens := p.Tokens(); {
		case tokens == 0:
			return badRequest("The prompt must not be empty."), true
		case tokens >= i.profile.MaxModelLen:
			return tooLong(tokens, i.profile.MaxModelLen), true
		case most != nil && *most > i.profile.MaxModelLen-tokens:
			return tooManyTokens(*most, tokens, i.profile.MaxModelLen), true
		}
	}
	return problem{}, false
}

// plan decides what the k-th answer to a prompt is. With max_tokens it is that
// long: what a test asks for is what it gets.
func (i *Instance) plan(p *prompt, k int, most *int, a *ask) output {
	o := output{seed: model.Mix(uint64(p.Sum()) + uint64(k)), reason: reasonLength}
	room := i.profile.MaxModelLen - p.Tokens()
	switch {
	case most != nil:
		o.tokens = *most
	case bool(a.IgnoreEOS):
		o.tokens = room
	default:
		// The length is the seed's and the prompt's, no dice: a repeated request is
		// the same request.
		u := float64(model.Mix(o.seed^i.config.Seed)>>11+1) / (1 << 53)
		if o.tokens = 1 + int(min(-math.Log(u)*meanOutput, mostOutput)); o.tokens <= room {
			o.reason = reasonStop
		} else {
			o.tokens = room
		}
	}
	o.bytes = 4 * o.tokens
	o.cutAt(a.Stop)
	return o
}

// ask reads a body and checks its model; it has answered if it returns false.
func (i *Instance) ask(w http.ResponseWriter, r *http.Request) (*ask, bool) {
	a := &ask{}
	if !i.read(w, r, a) {
		return nil, false
	}
	if a.Model != "" && a.Model != i.config.Model {
		i.fail(w, noModel(a.Model))
		return nil, false
	}
	a.Stop = slices.DeleteFunc(a.Stop, func(s string) bool { return s == "" })
	return a, true
}
