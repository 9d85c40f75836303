package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"penstock/bench/model"
)

// load is a stretch of time in which requests come.
type load struct {
	Name  string
	About string
	asks  func(*rand.Rand) []ask
}

// ask is one request. Who waits for nobody, in an open loop, comes at a time
// that is known before.
type ask struct {
	At       time.Duration
	Messages []message `json:",omitempty"`
	Output   int
	Tokens   []uint32 // of the prompt, as the engine takes it apart
	blocks   []model.Hash
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

const lasts = 30 * time.Second

// loads: the constants are fitted to the first alone.
var loads = []load{
	{"fit", "long answers, long prompts, both of usual length, and shared prompts, at a rate that rises to 12/s", func(d *rand.Rand) []ask {
		systems := []string{text(d, 2000), text(d, 2000), text(d, 2000)}
		return poisson(d, 12, lasts, true, func() ask {
			switch n := d.IntN(20); {
			case n < 8:
				return chat(d, "", lengths(d, 60, 0.5, 300), lengths(d, 150, 0.6, 500))
			case n < 11:
				return chat(d, "", lengths(d, 2500, 0.6, 8000), 10)
			case n < 17:
				return chat(d, "", lengths(d, 400, 1, 3000), lengths(d, 40, 0.8, 200))
			default:
				return chat(d, systems[n-17], lengths(d, 150, 0.5, 600), lengths(d, 60, 0.5, 200))
			}
		})
	}},
	{"short-long", "prompts of 60 tokens, answers of 200, 5/s", func(d *rand.Rand) []ask {
		return poisson(d, 5, lasts, false, func() ask { return chat(d, "", lengths(d, 60, 0.4, 200), lengths(d, 200, 0.4, 600)) })
	}},
	{"long-short", "prompts of 3,000 tokens, answers of 10, 4/s", func(d *rand.Rand) []ask {
		return poisson(d, 4, lasts, false, func() ask { return chat(d, "", lengths(d, 3000, 0.5, 8000), 10) })
	}},
	{"shared", "24 system prompts of 3,000 tokens, more than the cache takes; 8/s", func(d *rand.Rand) []ask {
		systems := make([]string, 24)
		for n := range systems {
			systems[n] = text(d, 3000)
		}
		return poisson(d, 8, lasts, false, func() ask {
			return chat(d, systems[int(float64(len(systems))*d.Float64()*d.Float64())], lengths(d, 150, 0.5, 600), lengths(d, 40, 0.5, 150))
		})
	}},
	{"bursts", "12 at once every 3 s", func(d *rand.Rand) []ask {
		var all []ask
		for at := time.Second; at < lasts; at += 3 * time.Second {
			for range 12 {
				a := chat(d, "", lengths(d, 400, 0.8, 3000), lengths(d, 40, 0.5, 150))
				a.At = at
				all = append(all, a)
			}
		}
		return all
	}},
	{"busy", "prompts of 400 tokens, answers of 50, 20/s: near saturation", func(d *rand.Rand) []ask {
		return poisson(d, 20, lasts, false, func() ask { return chat(d, "", lengths(d, 400, 1.1, 6000), lengths(d, 50, 0.8, 300)) })
	}},
}

// poisson has requests come at random times, at a rate or one that rises to it
// from nothing.
func poisson(d *rand.Rand, rate float64, span time.Duration, rising bool, one func() ask) (all []ask) {
	total, sum := span.Seconds(), 0.0
	if rising {
		rate /= 2 // of the whole
	}
	for {
		sum += d.ExpFloat64() / rate
		at := sum
		if rising { // as many have come as a triangle has area
			at = math.Sqrt(sum * total)
		}
		if at >= total {
			return all
		}
		a := one()
		a.At = time.Duration(at * float64(time.Second))
		all = append(all, a)
	}
}

// lengths are log-normal.
func lengths(d *rand.Rand, mean, spread float64, most int) int {
	return min(max(int(mean*math.Exp(spread*d.NormFloat64()-spread*spread/2)), 2), most)
}

func chat(d *rand.Rand, system string, prompt, output int) ask {
	a := ask{Output: output}
	if system != "" {
		a.Messages = append(a.Messages, message{"system", system})
	}
	a.Messages = append(a.Messages, message{"user", text(d, prompt)})
	return a
}

// words are those that the tiny model's tokenizer learned of: 4.3 bytes a token,
// as models have it.
var words = strings.Fields("A penstock is the gate that meters water to the turbines. The quick brown fox jumps over the lazy dog, again and again. " +
	"In-flight requests, running and waiting, prefill and decode, tokens and blocks.")

// text is of about so many tokens, four for three words.
func text(d *rand.Rand, tokens int) string {
	var b strings.Builder
	for range max(tokens*3/4, 1) {
		b.WriteString(words[d.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()
}

// dice of a load: the same texts and arrivals each time; other ones for each load
// and each try, so that nothing is in the cache from before.
func (l *load) dice(try int) *rand.Rand {
	n := slices.IndexFunc(loads, func(o load) bool { return o.Name == l.Name })
	return rand.New(rand.NewPCG(seed+uint64(try), uint64(n)))
}

const seed = 1
