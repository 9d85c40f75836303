package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
)

// heard is an event of the server's.
type heard struct {
	Type, ID, Delta, Text, Error, Code string
	Created                            int64
	Usage                              struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
}

func (s *socket) next() (e heard) {
	s.t.Helper()
	kind, text, err := s.ReadMessage()
	if err != nil || kind != websocket.TextMessage || json.Unmarshal(text, &e) != nil {
		s.t.Fatalf("got %d %q, %v; want an event", kind, text, err)
	}
	return e
}

// fails wants an error of that code.
func (s *socket) fails(code string) {
	s.t.Helper()
	if e := s.next(); e.Type != "error" || e.Code != code || e.Error == "" {
		s.t.Fatalf("got %+v, want the error %s", e, code)
	}
}

// append says speech of so many tokens.
func (s *socket) append(tokens float64) {
	s.t.Helper()
	pcm := base64.StdEncoding.EncodeToString(make([]byte, 2*int(tokens*speechToken/2)))
	s.say(websocket.TextMessage, fmt.Sprintf(`{"type":"input_audio_buffer.append","audio":%q}`, pcm))
}

const (
	update = `{"type":"session.update","model":"llama2"}`
	commit = `{"type":"input_audio_buffer.commit"}`
	final  = `{"type":"input_audio_buffer.commit","final":true}`
)

// speak opens a session in which an utterance has begun.
func (r *rig) speak() *socket {
	r.t.Helper()
	s := r.dial("/v1/realtime")
	if e := s.next(); e.Type != "session.created" || e.ID != "sess-r1" || e.Created == 0 {
		r.t.Fatalf("got %+v: the server speaks first", e)
	}
	s.say(websocket.TextMessage, update)
	s.say(websocket.TextMessage, commit)
	return s
}

// deltas wants so many, and returns their text.
func (s *socket) deltas(n int) string {
	s.t.Helper()
	var b strings.Builder
	for range n {
		e := s.next()
		if e.Type != "transcription.delta" || e.Delta == "" {
			s.t.Fatalf("got %+v, want a delta", e)
		}
		b.WriteString(e.Delta)
	}
	return b.String()
}

func TestSpeechIsTranscribedAsItComes(t *testing.T) {
	r := newRig(t, nil)
	s := r.speak()
	var texts []string
	for range 2 { // one utterance after the other
		s.append(2.5)
		text := s.deltas(2) // before the client has said all
		s.append(1)
		text += s.deltas(1)
		s.say(websocket.TextMessage, final)
		text += s.deltas(1) // the rest is a token too
		e := s.next()
		if e.Type != "transcription.done" || e.Text != text || e.Usage.Prompt != 4 || e.Usage.Completion != 4 || e.Usage.Total != 8 {
			t.Fatalf("got %+v, want the end of %q", e, text)
		}
		texts = append(texts, text)
		s.say(websocket.TextMessage, commit)
	}
	if texts[0] != texts[1] {
		t.Errorf("the same speech is %q and %q", texts[0], texts[1])
	}
	if got := r.stats(); got.TokensGenerated != 8 || got.Requests != 1 || got.PromptTokens < 8 {
		t.Errorf("got %+v: speech costs the engine tokens", got)
	}
}

func TestUtteranceOfNothing(t *testing.T) {
	s := newRig(t, nil).speak()
	s.say(websocket.TextMessage, final)
	if e := s.next(); e.Type != "transcription.done" || e.Text != "" || e.Usage.Total != 0 {
		t.Errorf("got %+v", e)
	}
}

func TestRealtimeErrorsLeaveTheSessionAlive(t *testing.T) {
	s := newRig(t, nil).dial("/v1/realtime")
	s.next()
	f := func(text, code string) {
		t.Helper()
		s.say(websocket.TextMessage, text)
		s.fails(code)
	}
	f(`no JSON`, "invalid_json")
	f(`{"type":"response.create"}`, "unknown_event")
	f(`{}`, "unknown_event")
	f(commit, "model_not_validated")
	f(final, "model_not_validated")
	f(`{"type":"session.update"}`, "invalid_event")
	f(`{"type":"session.update","model":"nope"}`, "model_not_found")
	f(`{"type":"input_audio_buffer.append"}`, "processing_error")
	f(`{"type":"input_audio_buffer.append","audio":"?"}`, "invalid_audio")
	f(`{"type":"input_audio_buffer.append","audio":""}`, "invalid_audio")
	f(`{"type":"input_audio_buffer.append","audio":"AAAA"}`, "invalid_audio") // three bytes are no samples
	s.say(websocket.TextMessage, update)
	s.say(websocket.TextMessage, commit)
	s.append(1)
	s.deltas(1)
}

func TestSpeechLongerThanTheContextIsAnError(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxModelLen = 64 })
	s := r.speak()
	s.append(70)
	s.fails("processing_error")
	s.say(websocket.TextMessage, commit)
	s.append(1)
	s.deltas(1)
}

func TestSpeakerWhoLeavesEndsTheEnginesWork(t *testing.T) {
	r := newRig(t, slow)
	s := r.speak()
	s.append(1000)
	s.deltas(1)
	s.Close()
	r.until("it is aborted", func() bool { got := r.stats(); return got.Aborted == 1 && got.InFlight == 0 && got.Running == 0 })
}

func TestFaultsMeetSpeechToo(t *testing.T) {
	r := newRig(t, nil)
	s := r.speak()
	r.inject(`{"kind":"cut","tokens":2}`)
	s.append(4)
	s.deltas(2)
	if _, _, err := s.ReadMessage(); !websocket.IsUnexpectedCloseError(err) {
		t.Errorf("got %v, want an end without a word", err)
	}
	r.inject(`{"kind":"stall"}`)
	s = r.speak()
	s.append(1)
	s.deltas(1)
	s.append(1)
	r.until("the engine has said it", func() bool { return r.stats().Finished >= 3 })
	r.do("DELETE", "/_sim/fault", "")
	s.deltas(1)
}

func TestOnlyVLLMHasRealtime(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Engine = "vllm-old" })
	if response, _ := r.do("GET", "/v1/realtime", ""); response.StatusCode != 404 {
		t.Errorf("got %s", response.Status)
	}
}
