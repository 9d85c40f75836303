package fleet

import (
	"context"
	"testing"
	"time"

	"penstock/bench/workload"
)

// BenchmarkRun is chats, near the limit of few instances and of many, and long
// prompts of a trace.
func BenchmarkRun(b *testing.B) {
	f := func(name string, rate float64, instances int, lasts time.Duration) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			requests := 0
			for b.Loop() {
				cfg := DefaultConfig()
				cfg.Workload, _ = workload.Named(name)
				cfg.Instances, cfg.Params = instances, workload.Params{Rate: rate, Seed: 1, Duration: lasts}
				res, err := Run(context.Background(), cfg, nil)
				if err != nil {
					b.Fatal(err)
				}
				requests += len(res.Samples)
			}
			b.ReportMetric(float64(requests)/b.Elapsed().Seconds(), "requests/s")
		})
	}
	f("w12", 12, 5, 2000*time.Second)
	f("large", 480, 200, 100*time.Second)
	f("w4", 0.75, 8, 1000*time.Second)
}
