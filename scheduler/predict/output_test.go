package predict

import (
	"math"
	"testing"
)

func TestAnswersAreAsLongAsThoseLikeThem(t *testing.T) {
	var o Output
	if got := o.Of(1, 100, 256); got != 256 {
		t.Errorf("%v, and nothing was seen", got)
	}
	for range 100 {
		o.Note(1, 100, 20)
		o.Note(2, 100, 1000)
		o.Note(2, 10_000, 50)
	}
	for _, c := range []struct {
		who    uint64
		prompt int
		want   float64
	}{{1, 100, 20}, {1, 127, 20}, {2, 100, 1000}, {2, 12_000, 50}, {1, 10_000, 20}} {
		if got := o.Of(c.who, c.prompt, 256); math.Abs(got-c.want) > 1 {
			t.Errorf("client %d, prompt %d: %v, want %v", c.who, c.prompt, got, c.want)
		}
	}
	if got := o.Of(99, 5, 256); got < 20 || got > 1000 {
		t.Errorf("a stranger's is %v, want the mean of all", got)
	}
	for range 200 {
		o.Note(1, 100, 300)
	}
	if got := o.Of(1, 100, 256); math.Abs(got-300) > 15 {
		t.Errorf("%v after it became 300", got)
	}
	o.Note(1, -5, -7)
	o.Note(1, 1<<60, 1<<60)
	if got := o.Of(1, 100, 256); got > 1<<20 {
		t.Errorf("%v", got)
	}
}

func TestPredictionsAreBadWhereTheUsualKnowsMore(t *testing.T) {
	var good, bad, early Errors
	for n := range 500 {
		seen := 0.1 * float64(1+n%7)
		good.Note(seen*1.1, seen)
		bad.Note(5/seen, seen)
	}
	if good.Bad() || math.Abs(good.Ratio()-1.1) > 0.01 {
		t.Errorf("off by a tenth: bad %v, ratio %v", good.Bad(), good.Ratio())
	}
	if !bad.Bad() {
		t.Errorf("ratio %v, and the usual would be better", bad.Ratio())
	}
	for range trialFor - 1 {
		early.Note(100, 0.1)
	}
	if early.Bad() || early.Ratio() < 900 {
		t.Errorf("too early to tell: bad %v, ratio %v", early.Bad(), early.Ratio())
	}
	if (&Errors{}).Ratio() != 0 {
		t.Error("nothing was predicted")
	}
}
