package sim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

// session is a WebSocket of vLLM's /v1/realtime: speech comes in, its text goes
// out (backends.md, d.5). Its reader is the request's goroutine; each utterance
// has one of its own.
type session struct {
	instance *Instance
	ws       *websocket.Conn
	r        *http.Request // its context ends when the client has left

	known  bool // the client has named the model
	speech speech

	mu       sync.Mutex // over what is written
	speaking sync.WaitGroup
}

// event is what a client says.
type event struct {
	Type  string  `json:"type"`
	Model *string `json:"model"`
	Audio *string `json:"audio"`
	Final bool    `json:"final"`
}

func (i *Instance) realtime(ws *websocket.Conn, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	s := &session{instance: i, ws: ws, r: r.WithContext(ctx), speech: newSpeech()}
	defer s.speaking.Wait()
	defer cancel()
	s.say(map[string]any{"type": "session.created", "id": "sess-" + i.requestID(r), "created": time.Now().Unix()})
	for b := []byte(nil); ; {
		kind, from, err := ws.NextReader()
		if err == nil {
			b, err = hear(kind, from, b[:0])
		}
		if err != nil {
			bye(ws, err)
			return
		}
		s.take(b)
	}
}

// say writes an event.
func (s *session) say(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ws.WriteJSON(v)
}

// complain writes an error: the session goes on. Who has left is seen by the
// reader.
func (s *session) complain(code, message string) {
	_ = s.say(map[string]any{"type": "error", "error": message, "code": code})
}

// take does what the client says.
func (s *session) take(raw []byte) {
	var e event
	if json.Unmarshal(raw, &e) != nil {
		s.complain("invalid_json", "Invalid JSON")
		return
	}
	switch e.Type {
	case "session.update":
		s.update(e.Model)
	case "input_audio_buffer.append":
		s.append(e.Audio)
	case "input_audio_buffer.commit":
		s.commit(e.Final)
	default:
		s.complain("unknown_event", "Unknown event type: "+e.Type)
	}
}

func (s *session) update(model *string) {
	switch {
	case model == nil:
		s.complain("invalid_event", "Missing required field: model")
	case *model != s.instance.config.Model:
		s.complain("model_not_found", noModel(*model).message)
	default:
		s.known = true
	}
}

func (s *session) append(audio *string) {
	if audio == nil {
		s.complain("processing_error", "Missing required field: audio")
		return
	}
	const sample = 2
	pcm, err := base64.StdEncoding.DecodeString(*audio)
	if err != nil || len(pcm) == 0 || len(pcm)%sample != 0 {
		s.complain("invalid_audio", "Invalid audio data")
		return
	}
	s.speech.add(pcm)
}

// commit begins an utterance, or, if it is final, ends what is heard of it.
func (s *session) commit(final bool) {
	switch {
	case !s.known:
		s.complain("model_not_validated", "Model not validated. Make sure to validate the model by sending a session.update event.")
	case final:
		s.speech.end()
	case s.speech.begin():
		s.speaking.Go(s.utter)
	}
}
