package scheduler

import (
	"sync"
	"testing"
	"time"
)

// Requests make instances known while others are compared: a comparison that
// asked twice found more than it had counted.
func TestInstancesThatBecomeKnownWhileAllAreCompared(t *testing.T) {
	for range 200 {
		s := fleetOf(t, 16, "predictive")
		var all sync.WaitGroup
		for _, i := range s.Instances() {
			all.Go(func() {
				for range 20 {
					i.speed.FirstToken(100, 0, 0, 0.1)
				}
			})
		}
		for range 4 {
			all.Go(func() {
				for n := range 20 {
					s.share(int64(n) * int64(time.Second))
				}
			})
		}
		all.Wait()
	}
}
