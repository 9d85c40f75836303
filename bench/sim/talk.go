package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// talk is the answer to one call, as it is written.
type talk struct {
	instance *Instance
	call     *call
	words    *wording
	fields   fields
	total    bool // whether the usage is told at the end of a stream

	w     http.ResponseWriter
	r     *http.Request
	buf   []byte
	begun bool // the first chunks have gone out
}

func (i *Instance) talk(w http.ResponseWriter, r *http.Request, a *ask, c *call, words *wording) *talk {
	t := &talk{instance: i, call: c, words: words, w: w, r: r}
	t.fields = fields{id: quoted(words.id + i.requestID(r)), model: quoted(i.config.Model), created: time.Now().Unix()}
	if o := a.StreamOptions; o != nil && bool(o.IncludeUsage) {
		t.total, t.fields.continuous = true, bool(o.Continuous)
	}
	return t
}

// requestID is the client's X-Request-Id or a new one.
func (i *Instance) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" {
		return id
	}
	_, high := i.roll()
	_, low := i.roll()
	return fmt.Sprintf("%016x%016x", high, low)
}

// wait returns when there is something to say; false: the client has left.
func (t *talk) wait() bool {
	for {
		select {
		case <-t.r.Context().Done():
			return false
		case <-t.call.wake:
		}
		for {
			f, changed := t.instance.fault.get()
			if f.Kind != faultStall || (t.call.stream && !t.begun) {
				return true
			}
			select {
			case <-t.r.Context().Done():
				return false
			case <-changed:
			}
		}
	}
}

// stream writes the tokens as they come, all that have come in one write. The
// head goes out before the first of them, as vLLM's does.
func (t *talk) stream() {
	t.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	t.w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(t.w)
	if control.Flush() != nil {
		return
	}
	for open := true; open; {
		if !t.wait() {
			return
		}
		open = t.call.open.Load() > 0 // before the tokens: those of the end are there
		cut := t.write()
		if !open && !cut {
			t.finish()
		}
		if len(t.buf) > 0 {
			if _, err := t.w.Write(t.buf); err != nil || control.Flush() != nil {
				return
			}
		}
		if cut {
			panic(http.ErrAbortHandler)
		}
		t.buf = t.buf[:0]
	}
}

// write puts what is new of all choices into buf. It reports whether a fault
// cuts the stream there.
func (t *talk) write() (cut bool) {
	f, _ := t.instance.fault.get()
	for n := range t.call.choices {
		c := &t.call.choices[n]
		ready := int(c.ready.Load())
		if f.Kind == faultCut && ready > f.Tokens {
			ready, cut = max(c.sent, f.Tokens), true
		}
		if c.sent < ready && !t.begun {
			t.begin()
		}
		for ; c.sent < ready; c.sent++ {
			t.token(n, c)
		}
	}
	return cut
}

// begin writes the first chunk of each choice.
func (t *talk) begin() {
	t.begun = true
	for n := range t.call.choices {
		t.fields.index = n
		t.fields.usage = usage{prompt: t.call.choices[n].prompt.Tokens()}
		t.event(t.words.role)
	}
}

// token writes one token of the n-th choice.
func (t *talk) token(n int, c *choice) {
	f := &t.fields
	f.index, f.text = n, c.output.text(c.sent)
	f.usage = usage{prompt: c.prompt.Tokens(), completion: c.sent + 1}
	if c.sent+1 < c.output.tokens {
		f.reason, f.stop = t.instance.dialect.unfinished, "null"
		t.event(t.words.token)
		return
	}
	t.ends(c)
	t.event(t.words.last)
	t.event(t.words.end)
}

// ends sets how a choice ended.
func (t *talk) ends(c *choice) {
	t.fields.reason, t.fields.stop = quoted(c.output.reason), "null"
	if c.output.stop != "" {
		t.fields.stop = quoted(c.output.stop)
	}
}

// finish writes the end of a stream.
func (t *talk) finish() {
	t.fields.usage = t.call.usage()
	if t.total {
		t.event(t.words.total)
	}
	t.buf = append(t.buf, t.instance.dialect.done...)
}

// event writes one, if the engine has it.
func (t *talk) event(what template) {
	if what == nil {
		return
	}
	t.buf = append(t.buf, "data: "...)
	t.buf = what.append(t.buf, &t.fields, t.instance.dialect)
	t.buf = append(t.buf, "\n\n"...)
}

// whole waits for all tokens and answers with one object.
func (t *talk) whole() {
	if !t.wait() {
		return
	}
	var choices []byte
	for n := range t.call.choices {
		c := &t.call.choices[n]
		if f, _ := t.instance.fault.get(); f.Kind == faultCut && c.output.tokens > f.Tokens {
			panic(http.ErrAbortHandler)
		}
		if n > 0 {
			choices = append(choices, ',')
		}
		t.fields.index, t.fields.text = n, c.output.all()
		t.ends(c)
		choices = t.words.choice.append(choices, &t.fields, t.instance.dialect)
	}
	t.fields.choices, t.fields.usage = choices, t.call.usage()
	body := t.words.whole.append(nil, &t.fields, t.instance.dialect)
	replyBytes(t.w, http.StatusOK, "application/json", body)
}

// quoted is s as JSON.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can
	return string(b)
}
