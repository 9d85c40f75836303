package scheduler

import "testing"

func TestAnOlderClockDoesNotEmptyARate(t *testing.T) {
	var r rate
	base := int64(10) << rateBits
	for n := range 1000 {
		r.add(1, base-rateOver+int64(n)*rateOver/1000)
	}
	r.add(1, base)   // this one turned the page
	r.add(1, base-1) // this one read the clock a ns earlier
	r.add(1, base+1)
	if got := counted(&r, momentOf(base+2)); got < 100 {
		t.Errorf("%.1f a second, and there were %.1f", got, 1000/8.6)
	}
}

// counted is how many events there were a second.
func counted(r *rate, m moment) float64 {
	events, _ := r.counts(m)
	return events * perSecond
}
