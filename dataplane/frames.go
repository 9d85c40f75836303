package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"penstock/dataplane/partial"
)

// frames follows a WebSocket's frames (RFC 6455, 5.2) as they pass, in one
// direction, wherever they are cut: it knows where one ends, and what a close
// said. It changes and judges nothing. The zero value is ready.
type frames struct {
	head   [14]byte // of the frame under way, as far as it has come
	have   int
	need   int // bytes of the head, as far as is known
	left   uint64
	masked bool
	opcode byte
	fin    bool

	messages int    // that have ended
	open     bool   // one has begun and not ended
	size     uint64 // of its payload, or the last's, as far as its frames' heads say
	closing  bool
	code     [2]byte // of the close, unmasked
	coded    int
}

const (
	opClose = 8
	opPing  = 9
)

// feed goes over what passes, and says whether any of it was a message's.
func (f *frames) feed(p []byte) (data bool) {
	for len(p) > 0 {
		n, some := f.next(p)
		data = data || some
		p = p[n:]
	}
	return data
}

// next goes over what passes up to the end of a frame, and says how much that is.
func (f *frames) next(p []byte) (n int, data bool) {
	for n < len(p) {
		if f.left > 0 {
			k := int(min(uint64(len(p)-n), f.left))
			f.payload(p[n : n+k])
			f.left -= uint64(k)
			n += k
		} else {
			f.head[f.have] = p[n]
			f.have++
			n++
			if f.have == 2 {
				f.begin()
			}
			if f.have < 2 || f.have < f.need {
				continue
			}
			f.ready()
		}
		data = data || f.opcode < opClose
		if f.left == 0 {
			f.over()
			return n, data
		}
	}
	return n, data
}

// begin reads how long the head is.
func (f *frames) begin() {
	f.fin, f.opcode, f.masked = f.head[0]&0x80 != 0, f.head[0]&0x0f, f.head[1]&0x80 != 0
	f.need = 2
	switch f.head[1] & 0x7f {
	case 126:
		f.need += 2
	case 127:
		f.need += 8
	}
	if f.masked {
		f.need += 4
	}
}

// ready reads how long the payload is: its head is whole.
func (f *frames) ready() {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.left = uint64(n)
	}
	if f.opcode < opClose {
		f.grow()
	}
}

// grow counts the frame's payload as its message's.
func (f *frames) grow() {
	const none = 1 << 63 // no frame is that long: it is garbage, which the end will refuse
	if f.opcode != 0 || !f.open {
		f.size = 0
	}
	if f.open = true; f.left < none {
		f.size = min(f.size+f.left, none)
	}
}

// payload looks at what a close says.
func (f *frames) payload(p []byte) {
	if f.opcode != opClose {
		return
	}
	for _, b := range p {
		if f.coded == len(f.code) {
			return
		}
		if f.masked {
			b ^= f.head[f.need-4+f.coded]
		}
		f.code[f.coded] = b
		f.coded++
	}
}

func (f *frames) over() {
	switch {
	case f.opcode == opClose:
		f.closing = true
	case f.opcode < opClose && f.fin:
		f.open = false
		f.messages++
	}
	f.have, f.need = 0, 0
}

// between says whether the next byte begins a frame.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// closeCode is what a close said; 1005: nothing.
func (f *frames) closeCode() int {
	if f.coded < len(f.code) {
		return 1005
	}
	return int(binary.BigEndian.Uint16(f.code[:]))
}

// controlFrame is a frame of the router's own to a client.
func controlFrame(opcode byte, payload []byte) []byte {
	payload = payload[:min(len(payload), 125)]
	return append([]byte{0x80 | opcode, byte(len(payload))}, payload...)
}

// closeFrame says goodbye to a client, in as much of the reason as a frame takes:
// whole characters.
func closeFrame(code int, why string) []byte {
	const most = 123
	if why = strings.ToValidUTF8(why, "\uFFFD"); len(why) > most {
		n, _ := partial.UTF8([]byte(why[:most]))
		why = why[:n]
	}
	return controlFrame(opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), why...))
}

// masked is a frame of controlFrame's as a client has to send it.
func masked(frame []byte) []byte {
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], rand.Uint32())
	out := append([]byte{frame[0], 0x80 | frame[1]}, key[:]...)
	for i, c := range frame[2:] {
		out = append(out, c^key[i%4])
	}
	return out
}
