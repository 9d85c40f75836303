package workload

import "time"

// published are the set-ups that others have published results of.
var published = []*Workload{
	{
		Name: "w1", About: "shared system prompts that fill 73 % of the fleet's KV cache (llm-d)",
		Profiles: []string{"qwen3-32b-h100x2"}, Instances: 8, Unit: perSecond, Rates: []float64{10, 20, 30, 40, 50, 60},
		total: func(rate float64) int { return 750 + int(rate*stageFor(rate).Seconds()) }, open: sharedPrompts,
	},
	{
		Name: "w1-ladder", About: "w1 with the rates as published, one after the other; a rate multiplies them",
		Profiles: []string{"qwen3-32b-h100x2"}, Instances: 8, Unit: speed, Rates: []float64{1},
		total: func(rate float64) int { return 750 + int(rate*16_350) }, open: sharedPromptsLadder,
	},
	{
		Name: "w6", About: "conversations of 16 messages and more, in a closed loop (KubeAI)",
		Profiles: []string{"8b-l4"}, Instances: 8, Unit: clients, Closed: true, Rates: []float64{50, 100, 200, 400, 800},
		total: func(rate float64) int { return max(conversations, int(rate)) * 11 }, open: multiTurn(conversations),
	},
	{
		Name: "w9", About: "prompts of 220 KB to engines that answer at once, in a closed loop (Gateway API Inference Extension)",
		Profiles: []string{"instant"}, Instances: 4, Unit: clients, Closed: true, Rates: []float64{20, 60, 100, 150},
		total: func(float64) int { return largePrompts }, open: large,
	},
	{
		Name: "w12", About: "chats of ShareGPT's lengths, nothing shared (the managed service's own comparison)",
		Profiles: []string{"7b-a10"}, Instances: 5, Unit: perSecond, Rates: []float64{4, 8, 12, 13, 14, 16},
		span: 300 * time.Second, open: chats,
	},
}

// ShareGPT's lengths.
var (
	chatPrompt = lengths{mean: 235, spread: 1.2, most: 2048}
	chatAnswer = lengths{mean: 198, spread: 1, most: 1024}
)

// chats have nothing in common.
func chats(p Params) Stream {
	d := newDice(p.Seed, 12)
	return d.poisson(p.Rate, 0, p.Duration, func() *Request {
		r := &Request{MaxTokens: -1, Answer: d.Uint64(), Output: chatAnswer.draw(d)}
		return r.prompt(Span{d.Uint64(), chatPrompt.draw(d)})
	})
}

// largePrompts is how many w9 sends.
const largePrompts = 20_000

// large sends one prompt after another, of about 220 KB.
func large(p Params) Stream {
	d, left, n := newDice(p.Seed, 9), largePrompts, 0
	var next func(time.Duration) *Request
	next = func(at time.Duration) *Request {
		if left == 0 {
			return nil
		}
		left--
		r := &Request{At: at, MaxTokens: 1, Output: 1, Answer: d.Uint64(), Then: next}
		return r.prompt(Span{d.Uint64(), 55_000})
	}
	return func() *Request {
		if n++; n > int(p.Rate) {
			return nil
		}
		return next(time.Duration(d.Int64N(int64(10 * time.Millisecond))))
	}
}

// W1's sizes.
const (
	groups         = 150
	groupPrompts   = 5
	systemTokens   = 6000
	questionTokens = 1200
	answerTokens   = 1000
)

// w1 makes its requests: the 750 prompts in one order, again and again, as the
// tool does that it was published with.
func w1(d dice) func() *Request {
	order, next := d.Perm(groups*groupPrompts), 0
	return func() *Request {
		n := order[next%len(order)]
		next++
		r := &Request{MaxTokens: answerTokens, Output: answerTokens, Answer: d.Uint64()}
		return r.prompt(Span{uint64(1 + n/groupPrompts), systemTokens}, Span{uint64(1000 + n), questionTokens})
	}
}

// stage is a Poisson process of its own, that waits for the end of all before.
func stage(d dice, rate float64, lasts time.Duration, ask func() *Request) Stream {
	begun := false
	return d.poisson(rate, 0, lasts, func() *Request {
		r := ask()
		r.Stage, begun = !begun, true
		return r
	})
}

// warmUp is what w1 begins with.
func warmUp(d dice, ask func() *Request) Stream {
	return d.poisson(15, 0, 50*time.Second, func() *Request {
		r := ask()
		r.Warm = true
		return r
	})
}

// stageFor is how long the published stages last, about: longer ones would fill
// every queue, whatever the policy, since the rates are more than the engines
// can decode.
func stageFor(rate float64) time.Duration {
	return time.Duration(min(40, 1500/rate) * float64(time.Second))
}

func sharedPrompts(p Params) Stream {
	d := newDice(p.Seed, 1)
	ask := w1(d)
	lasts := p.Duration
	if lasts == 0 {
		lasts = stageFor(p.Rate)
	}
	return chain(warmUp(d, ask), stage(d, p.Rate, lasts, ask))
}

// ladder is w1's, in requests/s and seconds. The tool that it was published with
// begins a stage when all requests of the one before have ended.
var ladder = [][2]int{
	{3, 20}, {10, 20}, {15, 20}, {20, 38}, {22, 34}, {25, 30}, {30, 25}, {35, 21}, {40, 38},
	{43, 36}, {46, 33}, {49, 30}, {52, 29}, {55, 27}, {57, 26}, {60, 25},
}

func sharedPromptsLadder(p Params) Stream {
	d := newDice(p.Seed, 1)
	ask := w1(d)
	streams := []Stream{warmUp(d, ask)}
	for _, step := range ladder {
		streams = append(streams, stage(d, p.Rate*float64(step[0]), time.Duration(step[1])*time.Second, ask))
	}
	return chain(streams...)
}
