package fleet

// Service is what one client got: 1 for each prompt token, 2 for each of output,
// as VTC counts.
type Service struct {
	Key    int     `json:"key"`
	Tokens float64 `json:"service"`
}

// fairness watches what clients get while they wait. It measures, for each two
// of them, the largest difference of what they got in any time in which both
// had a request waiting all along.
type fairness struct {
	got     []float64
	waiting []int      // requests without a first token
	pairs   [][]window // of the smaller key, then the larger
	worst   float64
}

// window is a time in which two clients wait: bounds of the difference.
type window struct{ low, high float64 }

func newFairness(keys int) *fairness {
	f := &fairness{got: make([]float64, keys), waiting: make([]int, keys), pairs: make([][]window, keys)}
	for i := range f.pairs {
		f.pairs[i] = make([]window, keys)
	}
	return f
}

func (f *fairness) arrive(c *call) {
	if f.waiting[c.Key]++; f.waiting[c.Key] == 1 {
		for other := range f.got {
			f.open(c.Key, other)
		}
	}
}

// open begins a window.
func (f *fairness) open(a, b int) {
	a, b = min(a, b), max(a, b)
	d := f.got[a] - f.got[b]
	f.pairs[a][b] = window{d, d}
}

// token notes a request's n-th token.
func (f *fairness) token(c *call, n int) {
	f.got[c.Key] += 2
	if n == 1 {
		f.got[c.Key] += float64(c.Tokens)
	}
	f.compare(c.Key)
	if n == 1 {
		f.leave(c)
	}
}

// leave is the end of a request's wait: its first token, or its end without.
func (f *fairness) leave(c *call) {
	if !c.served {
		c.served = true
		f.waiting[c.Key]--
	}
}

func (f *fairness) compare(key int) {
	if f.waiting[key] == 0 {
		return
	}
	for other := range f.got {
		if other == key || f.waiting[other] == 0 {
			continue
		}
		a, b := min(key, other), max(key, other)
		d, w := f.got[a]-f.got[b], &f.pairs[a][b]
		w.low, w.high = min(w.low, d), max(w.high, d)
		f.worst = max(f.worst, w.high-w.low)
	}
}

func (f *fairness) result() ([]Service, float64) {
	var list []Service
	for key, got := range f.got {
		list = append(list, Service{key, got})
	}
	return list, f.worst
}
