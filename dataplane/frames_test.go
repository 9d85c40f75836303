package dataplane

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// frameOf is a frame as a peer sends it.
func frameOf(fin bool, opcode byte, masked bool, payload []byte) []byte {
	b := []byte{opcode, 0}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if masked {
		b[1] |= 0x80
		key := []byte{1, 2, 3, 4}
		b = append(b, key...)
		payload = bytes.Clone(payload)
		for i := range payload {
			payload[i] ^= key[i%4]
		}
	}
	return append(b, payload...)
}

func TestFramesAreFollowedWhereverTheyAreCut(t *testing.T) {
	for _, masked := range []bool{false, true} {
		var all []byte
		ends := map[int]bool{0: true}
		add := func(f []byte) {
			all = append(all, f...)
			ends[len(all)] = true
		}
		add(frameOf(true, 1, masked, []byte("hello")))
		add(frameOf(true, opPing, masked, nil))
		add(frameOf(false, 2, masked, bytes.Repeat([]byte("x"), 300)))
		add(frameOf(true, 0, masked, bytes.Repeat([]byte("y"), 70_000)))
		add(frameOf(true, 1, masked, nil))
		add(frameOf(true, opClose, masked, append([]byte{0x03, 0xf3}, "gone"...)))
		for step := 1; step < 400; step += 7 {
			var f frames
			for at := 0; at < len(all); {
				if f.between() != ends[at] {
					t.Fatalf("masked %v, step %d: between frames %v at %d", masked, step, f.between(), at)
				}
				n := min(step, len(all)-at)
				f.feed(all[at : at+n])
				at += n
			}
			if !f.between() || f.messages != 3 || !f.closing || f.closeCode() != 1011 {
				t.Fatalf("masked %v, step %d: %d messages, closing %v, code %d", masked, step, f.messages, f.closing, f.closeCode())
			}
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frameOf(true, 1, true, []byte("hello")), 3)
	f.Add(frameOf(true, opClose, false, []byte{3}), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var whole, parts frames
		whole.feed(b)
		if len(b) > 0 {
			n := ((cut % len(b)) + len(b)) % len(b)
			parts.feed(b[:n])
			parts.feed(b[n:])
		}
		if whole != parts {
			t.Errorf("%+v in one piece, %+v in two", whole, parts)
		}
	})
}
