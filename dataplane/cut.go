package dataplane

import (
	"fmt"
	"strconv"

	"penstock/scheduler"
)

// padMost is how much of a broken chunk is filled up for the sake of a clean
// end.
const padMost = 64 << 10

// cutBy is what a client is told whose stream was cut by its engine.
func cutBy(out outcome) *refusal {
	if out.failure == scheduler.Timeout {
		return &refusal{status: 504, code: "instance_timeout", reason: reasonInstanceTimeout,
			msg: "the instance stopped in the middle of the answer"}
	}
	return &refusal{status: 502, code: "instance_failed", reason: reasonInstanceFailed,
		msg: fmt.Sprintf("the instance failed in the middle of the answer: %v", out.err)}
}

// cutShort tells the client of a stream why it ends: one more event, and then
// nothing. Anything but an event stream can only be broken off: its reader
// must not take half for the whole. It says whether the body ended in order.
func (c *client) cutShort(r *refusal) (whole bool) {
	q, a := &c.req, &c.att.ans
	var event []byte
	if !q.meter.done { // else the client has it all, but for the framing's end
		q.refused = r
		event = append(q.meter.blankLine(), "data: "...)
		event = append(event, r.object()...)
		event = append(event, "\n\n"...)
	}
	if !a.head.EventStream {
		return false
	}
	end, ok := closeBody(c.out[:0], a, event, q.minor())
	if !ok {
		return false
	}
	c.out = end
	return c.write(end) == nil
}

// closeBody frames the last event such that the body ends well wherever it was
// cut: a chunk whose rest will never come is filled up with the event.
func closeBody(dst []byte, a *answer, event []byte, minor int) (end []byte, ok bool) {
	switch {
	case a.mode == framedClose, a.mode == framedChunked && minor == 0:
		return append(dst, event...), true
	case a.mode == framedSized:
		if int64(len(event)) > a.left || a.left > padMost {
			return nil, false
		}
		return appendPadded(dst, event, int(a.left)), true
	}
	line, left, ok := a.chunks.Open()
	if !ok || left > padMost {
		return nil, false
	}
	dst = append(dst, line...)
	if left > 0 {
		n := min(int(left), len(event))
		dst = appendPadded(dst, event[:n], int(left))
		dst = append(dst, "\r\n"...)
		event = event[n:]
	}
	if len(event) > 0 {
		dst = strconv.AppendInt(dst, int64(len(event)), 16)
		dst = append(dst, "\r\n"...)
		dst = append(dst, event...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "0\r\n\r\n"...), true
}

// appendPadded fills up with blank lines, which mean nothing in a stream.
func appendPadded(dst, p []byte, n int) []byte {
	dst = append(dst, p...)
	for i := len(p); i < n; i++ {
		dst = append(dst, '\n')
	}
	return dst
}
