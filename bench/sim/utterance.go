package sim

import (
	"errors"
	"strings"

	"penstock/bench/model"
)

// utterance is the text of what a session hears, from a commit to the final one:
// a token of text for each of sound. The engine computes what has come in one
// call after the other, each with all before it as its prefix.
type utterance struct {
	*session
	prompt *prompt
	sound  int // tokens
	text   strings.Builder
	tokens int // of text
}

// utter answers one. The next may begin before the client hears of the end of
// this one: it would not be heard otherwise.
func (s *session) utter() {
	u := &utterance{session: s, prompt: newPrompt(s.instance.profile.BlockSize, 0)}
	for {
		sound, last, ok := s.speech.take(s.r.Context())
		if !ok {
			return
		}
		if err := u.hear(sound); err != nil {
			s.speech.done()
			s.complain("processing_error", err.Error())
			return
		}
		if last {
			break
		}
	}
	s.speech.done()
	_ = s.say(map[string]any{"type": "transcription.done", "text": u.text.String(), "usage": map[string]int{
		"prompt_tokens": u.sound, "completion_tokens": u.tokens, "total_tokens": u.sound + u.tokens,
	}})
}

// errLeft: nobody hears what is said.
var errLeft = errors.New("the client has left")

// hear computes more sound and says its text.
func (u *utterance) hear(sound []uint32) error {
	if len(sound) == 0 {
		return nil
	}
	for _, token := range sound {
		u.prompt.add(token)
	}
	u.sound += len(sound)
	c := newCall(1, true)
	x := &c.choices[0]
	x.call, x.prompt = c, u.prompt
	x.output = output{seed: model.Mix(uint64(u.prompt.Sum())), tokens: len(sound), bytes: 4 * len(sound), reason: reasonStop}
	if err := u.instance.submit(c); err != nil {
		return err
	}
	defer u.instance.leave(u.r, c)
	if err := u.deltas(&talk{instance: u.instance, call: c, r: u.r, begun: u.tokens > 0}); err != nil {
		return err
	}
	for n := range x.output.tokens { // the next call goes on where this one ended
		u.prompt.add(wordTokens[x.output.word(n)])
	}
	return nil
}

// deltas says the text of a call as it comes.
func (u *utterance) deltas(t *talk) error {
	x := &t.call.choices[0]
	for x.sent < x.output.tokens {
		if !t.wait() {
			return errLeft
		}
		for ready := int(x.ready.Load()); x.sent < ready; x.sent++ {
			if f, _ := u.instance.fault.get(); f.Kind == faultCut && u.tokens >= f.Tokens {
				u.ws.UnderlyingConn().Close()
				return errLeft
			}
			word := x.output.text(x.sent)
			u.text.WriteString(word)
			u.tokens++
			t.begun = true
			if u.say(map[string]any{"type": "transcription.delta", "delta": word}) != nil {
				return errLeft
			}
		}
	}
	return nil
}
