package load

import (
	"bytes"
	"cmp"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// readBytes is what a worker reads of a stream at a time: many events.
const readBytes = 8 << 10

// worker sends one request after the other. It belongs to one goroutine, and
// so do its buffers.
type worker struct {
	run  *run
	req  fasthttp.Request
	resp fasthttp.Response
	sent []byte // the request's body
	buf  []byte // what was read of the answer

	socket socket // its WebSocket, where requests go over one
	sample sample
	answer answer
	events events
	gaps   []time.Duration // that the record has not got yet
}

func newWorker(r *run) *worker {
	w := &worker{run: r, buf: make([]byte, 0, readBytes), gaps: make([]time.Duration, 0, 64)}
	r.client.prepare(&w.req, "POST", r.template.path, r.clock.real(r.cfg.Timeout))
	signed(&w.req, r.cfg.key(0))
	w.req.Header.SetContentType("application/json")
	w.req.Header.Set("X-Penstock-Explain", "1")
	return w
}

// do sends a request and reads its answer to the end. Its latencies count from
// when it was to go out.
func (w *worker) do(j job) {
	w.sample, w.answer = sample{sent: j.at}, answer{cached: -1, said: w.answer.said[:0]}
	w.compose(j)
	w.req.SetBodyRaw(w.sent)
	w.sample.late = w.run.clock.now() - j.at
	if w.run.cfg.WebSocket {
		w.talk(w.key(j))
	} else if err := w.run.client.http.Do(&w.req, &w.resp); err != nil {
		w.sample.fail(classOf(err, false), err.Error())
	} else {
		w.read()
	}
	w.sample.ended = w.run.clock.now()
	w.keep(j)
	w.finish()
}

// key is that of who asks.
func (w *worker) key(j job) string {
	if j.asked == nil {
		return w.run.cfg.key(0)
	}
	return w.run.cfg.key(j.asked.Key)
}

// compose writes the request's body, and who asks.
func (w *worker) compose(j job) {
	q := j.asked
	if q == nil {
		w.sent = w.run.template.append(w.sent[:0], &w.run.cfg, j.number)
		return
	}
	w.sent = w.run.template.appendAsked(w.sent[:0], q, w.run.said)
	w.sample.warm, w.sample.asked, w.answer.keep = q.Warm, q.Tokens, q.Then != nil
	signed(&w.req, w.run.cfg.key(q.Key))
	w.req.Header.Del("X-Session-Id")
	if q.Session != 0 {
		w.req.Header.Set("X-Session-Id", strconv.FormatUint(q.Session, 10))
	}
}

// keep hands in what was said in a conversation that goes on.
func (w *worker) keep(j job) {
	if !w.answer.keep {
		return
	}
	var said []byte
	if w.sample.completed() && len(w.answer.said) > 0 {
		said = bytes.Clone(w.answer.said)
	}
	w.run.said.put(j.asked.Answer, said)
}

// read reads an answer whose head is there.
func (w *worker) read() {
	w.sample.instance = instanceOf(w.resp.Header.Peek("X-Penstock-Decision"))
	status := w.resp.StatusCode()
	switch {
	case status != fasthttp.StatusOK:
		w.refused(status)
	case w.run.cfg.Stream:
		w.stream()
	default:
		w.whole()
	}
	// It closes the connection of an answer that was not read to its end.
	_ = w.resp.CloseBodyStream()
}

// refused reads an answer that is an error by its status.
func (w *worker) refused(status int) {
	body, _ := readWhole(&w.resp, w.buf[:0])
	if status == fasthttp.StatusTooManyRequests {
		w.sample.reject(body)
		return
	}
	w.sample.fail(classOfStatus(status), excerpt(body))
}

func (w *worker) whole() {
	body, err := readWhole(&w.resp, w.buf[:0])
	w.buf = body
	if err != nil {
		w.sample.fail(classOf(err, true), err.Error())
		return
	}
	w.sample.output(w.run.clock.now())
	w.answer.whole(body)
	if w.answer.failed {
		w.sample.fail(classStreamError, excerpt(body))
	} else if !w.answer.choices {
		w.sample.fail(classProtocol, "no completion: "+excerpt(body))
	}
}

func (w *worker) stream() {
	w.events.reset()
	body, buf := w.resp.BodyStream(), w.buf[:readBytes]
	for body != nil {
		n, err := body.Read(buf)
		if n > 0 {
			if err := w.take(buf[:n]); err != nil {
				w.sample.fail(classProtocol, err.Error())
				return
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if !w.answer.done {
				w.sample.fail(classOf(err, true), err.Error())
			}
			return
		}
	}
	if !w.answer.done {
		w.sample.fail(classTruncated, "the stream ended without [DONE]")
	}
}

// take reads the events that came with the stream's next bytes.
func (w *worker) take(p []byte) error {
	now := w.run.clock.now()
	w.events.feed(p)
	for {
		data, ok, err := w.events.next()
		if !ok {
			return err
		}
		if w.answer.event(data) {
			w.piece(now)
		} else if w.answer.failed {
			w.sample.fail(classStreamError, excerpt(data))
		}
	}
}

func (w *worker) piece(now time.Duration) {
	gap, ok := w.sample.output(now)
	if !ok || w.sample.warm {
		return
	}
	w.gaps = append(w.gaps, gap)
	if len(w.gaps) == cap(w.gaps) {
		w.run.record.addGaps(w.gaps)
		w.gaps = w.gaps[:0]
	}
}

// finish hands the sample in.
func (w *worker) finish() {
	w.run.record.addGaps(w.gaps)
	w.gaps = w.gaps[:0]
	s := &w.sample
	if s.class != "" && w.run.ctx.Err() != nil { // by our own hand
		w.run.record.addCut()
		return
	}
	if s.pieces == 0 { // a completion without output: all of it is its first
		s.first, s.last = s.ended, s.ended
	}
	s.promptTokens, s.outputTokens, s.cachedTokens = w.answer.prompt, w.answer.completion, w.answer.cached
	if s.promptTokens == 0 {
		s.promptTokens = cmp.Or(s.asked, w.run.cfg.PromptTokens)
	}
	w.run.record.add(s)
}

// instanceOf takes the instance's name from an X-Penstock-Decision.
func instanceOf(decision []byte) string {
	for part := range bytes.SplitSeq(decision, []byte(";")) {
		if name, ok := bytes.CutPrefix(bytes.TrimSpace(part), []byte("instance=")); ok {
			return plain(string(name))
		}
	}
	return ""
}

// excerpt is the beginning of what a server said, on one line.
func excerpt(body []byte) string {
	const most = 200
	if len(body) > most {
		body = body[:most]
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "?")), " ")
}
