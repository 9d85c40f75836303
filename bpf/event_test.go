package bpf

import (
	"encoding/binary"
	"testing"
)

func FuzzDecodeEvent(f *testing.F) {
	whole := make([]byte, eventSize)
	binary.NativeEndian.PutUint32(whole[eventSize-4:], uint32(Reset))
	f.Add(whole)
	f.Add(whole[1:])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _, err := decodeEvent(b)
		if err == nil && (len(b) != eventSize || e.Kind < Refused || e.Kind > ClientLeft) {
			t.Errorf("%d bytes make %+v", len(b), e)
		}
		if err != nil && e.Kind != 0 {
			t.Errorf("%v, and yet %v", err, e.Kind)
		}
	})
}
