package load

import (
	"strings"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	rec := newRecord(&Config{})
	rec.add(streamed(100*ms, 20*ms))
	rec.addGaps([]time.Duration{20 * ms, 30 * ms})
	bad := streamed(1*ms, 1*ms)
	bad.fail("503", "<script>")
	rec.add(bad)
	r := (&run{ctx: t.Context(), cfg: Config{Requests: 2, Model: "m"}, record: rec}).result()
	b, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if n := strings.Count(page, "<svg"); n != 4 {
		t.Errorf("%d pictures, want 4", n)
	}
	if strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;script&gt;") {
		t.Error("what a server said is not escaped")
	}
	for _, far := range []string{"src=", "href=\"http", "url("} {
		if strings.Contains(page, far) {
			t.Errorf("%s: the page needs something else", far)
		}
	}
	r = (&run{ctx: t.Context(), record: newRecord(&Config{})}).result()
	if b, err = r.Page(); err != nil || strings.Contains(string(b), "<svg") {
		t.Errorf("of nothing: %v, want a page without pictures", err)
	}
}
