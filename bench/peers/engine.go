package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// engines are the instant engines: they answer a chat at once with one short
// answer, and a completion with a stream of events that ends with its
// connection.
type engines struct {
	loop              *loop
	addrs             []netip.AddrPort
	period            int64         // ns between two events of a stream
	streams           []*engineConn // in the order of their next event
	sent              int64         // events sent
	stalled           int64         // events that did not fit into the socket's buffer
	event             [512]byte     // the event with its chunk framing
	stampAt, eventLen int
}

// What an engine says, in vLLM's shape and size.
const (
	answerBody = `{"id":"chatcmpl-8b077dae7de03a45","object":"chat.completion","created":1795531757,"model":"llama2",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"The gate that meters water.","refusal":null,` +
		`"tool_calls":[]},"logprobs":null,"finish_reason":"length","stop_reason":null}],"service_tier":null,` +
		`"usage":{"prompt_tokens":24,"total_tokens":30,"completion_tokens":6,"prompt_tokens_details":null}}`
	eventFormat = `data: {"id":"cmpl-8b077dae7de03a45","object":"text_completion","created":1795531757,"model":"llama2",` +
		`"choices":[{"index":0,"text":" gate","logprobs":null,"finish_reason":null,"t":"%016x"}]}` + "\n\n"
	streamHead = "HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 14:00:00 GMT\r\nserver: uvicorn\r\n" +
		"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
	modelsBody  = `{"object":"list","data":[{"id":"llama2","object":"model","max_model_len":131072}]}`
	metricsBody = `# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama2"} 0.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="llama2"} 0.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="llama2"} 0.1
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="llama2"} 336.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="llama2"} 6405.0
`
)

var (
	answer  = whole("application/json", answerBody)
	models  = whole("application/json", modelsBody)
	metrics = whole("text/plain; version=0.0.4; charset=utf-8", metricsBody)
	nothing = whole("text/plain", "")
)

func whole(contentType, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 14:00:00 GMT\r\nserver: uvicorn\r\n"+
		"content-length: %d\r\ncontent-type: %s\r\n\r\n%s", len(body), contentType, body)
}

func newEngines(l *loop, count int) (*engines, error) {
	e := &engines{loop: l}
	event := fmt.Sprintf(eventFormat, 0)
	framed := fmt.Appendf(e.event[:0], "%x\r\n%s\r\n", len(event), event)
	e.eventLen = len(framed)
	e.stampAt = bytes.Index(framed, stampMarker) + len(stampMarker)
	for range count {
		fd, addr, err := listen()
		if err != nil {
			return nil, err
		}
		e.addrs = append(e.addrs, addr)
		l.add(fd, &listener{fd, e}, unix.EPOLLIN)
	}
	l.timers = append(l.timers, e)
	return e, nil
}

// tick sends the events that are due. All streams have one period, so the
// order of the queue is the order of their next events.
func (e *engines) tick(now int64) int64 {
	for len(e.streams) > 0 {
		s := e.streams[0]
		if s.due > now {
			return s.due
		}
		e.streams = e.streams[1:]
		if s.open {
			s.sendEvent(now)
			s.due += e.period
			e.streams = append(e.streams, s)
		}
	}
	return never
}

func (e *engines) stamp(now int64) []byte {
	const digits = "0123456789abcdef"
	for i := range stampLen {
		e.event[e.stampAt+i] = digits[now>>(4*(stampLen-1-i))&15]
	}
	return e.event[:e.eventLen]
}

type listener struct {
	fd      int
	engines *engines
}

func (l *listener) ready(uint32) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		l.engines.loop.add(fd, &engineConn{fd: fd, engines: l.engines, open: true}, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
}

// engineConn is one connection of an engine.
type engineConn struct {
	fd      int
	engines *engines
	open    bool
	acc     []byte // a head that is not whole yet
	left    int64  // bytes of the body still to come
	reply   []byte // what is sent when they have come; nil: a stream
	due     int64  // when the stream's next event goes out
}

func (c *engineConn) ready(events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLRDHUP|unix.EPOLLERR) != 0 {
		c.close()
		return
	}
	if c.left > 0 {
		c.discard()
		return
	}
	p, again := c.engines.loop.read(c.fd)
	if again {
		return
	}
	if p == nil {
		c.close()
		return
	}
	c.take(p)
}

// discard drops the body's bytes in the kernel: MSG_TRUNC copies nothing.
func (c *engineConn) discard() {
	scratch := unsafe.Pointer(&c.engines.loop.buf[0])
	for c.left > 0 {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(scratch), uintptr(c.left), unix.MSG_TRUNC, 0, 0)
		if errno != 0 || n == 0 {
			return
		}
		c.left -= int64(n)
	}
	c.respond()
}

// take reads a request's head, and what of its body came with it.
func (c *engineConn) take(p []byte) {
	if len(c.acc) > 0 {
		c.acc = append(c.acc, p...)
		p = c.acc
	}
	h, n := parseHead(p)
	if n == 0 {
		c.acc = append(c.acc[:0], p...)
		return
	}
	c.reply = reply(h.line)
	c.left = max(0, h.length) - int64(len(p)-n)
	c.acc = c.acc[:0]
	if c.left <= 0 {
		c.respond()
	}
}

// reply chooses the answer by the request line: nil means a stream.
func reply(line []byte) []byte {
	_, target, _ := bytes.Cut(line, []byte(" "))
	switch {
	case bytes.HasPrefix(target, []byte("/v1/chat/completions")):
		return answer
	case bytes.HasPrefix(target, []byte("/v1/completions")):
		return nil
	case bytes.HasPrefix(target, []byte("/metrics")):
		return metrics
	case bytes.HasPrefix(target, []byte("/v1/models")):
		return models
	}
	return nothing
}

func (c *engineConn) respond() {
	if c.reply != nil {
		c.write(c.reply)
		return
	}
	now := monotonic()
	c.write([]byte(streamHead))
	c.sendEvent(now)
	c.due = now + c.engines.period
	c.engines.streams = append(c.engines.streams, c)
}

func (c *engineConn) sendEvent(now int64) {
	if c.write(c.engines.stamp(now)) {
		c.engines.sent++
	} else {
		c.engines.stalled++
	}
}

func (c *engineConn) write(p []byte) bool {
	n, err := unix.Write(c.fd, p)
	return err == nil && n == len(p)
}

func (c *engineConn) close() {
	c.open = false
	c.engines.loop.close(c.fd)
}

// listen opens a listening socket on a free loopback port.
func listen() (fd int, addr netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, addr, fmt.Errorf("opening an engine's socket: %w", err)
	}
	loopback := [4]byte{127, 0, 0, 1}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback}); err != nil {
		return 0, addr, fmt.Errorf("binding an engine's socket: %w", err)
	}
	if err = unix.Listen(fd, 4096); err != nil {
		return 0, addr, fmt.Errorf("listening as an engine: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, addr, fmt.Errorf("asking for an engine's port: %w", err)
	}
	port := uint16(name.(*unix.SockaddrInet4).Port)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(loopback), port), nil
}
