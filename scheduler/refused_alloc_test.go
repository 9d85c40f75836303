//go:build !race

package scheduler

import "testing"

func TestRecordingARefusalAllocatesNothing(t *testing.T) {
	s, _ := recorded(t, 4, "predictive", false)
	q := ask("m")
	q.ID, q.Prefix = "0123456789abcdef0123456789abcdef", []uint64{1, 2}
	if n := testing.AllocsPerRun(1000, func() { s.Refused(q, 429, "queue_timeout", 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
