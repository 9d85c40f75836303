package fleet

import (
	"bytes"
	"strings"
	"testing"

	"github.com/charmbracelet/lipgloss"

	"penstock/bench/load"
	"penstock/bench/workload"
)

func named(t *testing.T, name string) *workload.Workload {
	t.Helper()
	w, err := workload.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// reportOf is a report with a long policy's name, in which everything has its
// usual width.
func reportOf(rates ...float64) *Report {
	cfg := DefaultConfig()
	r := &Report{Workload: "w", About: "two clients", Unit: "requests/s", Profile: "7b-a10", Instances: 5, Gateways: 1, Settings: cfg.settings()}
	r.Settings.Rates = rates
	for _, rate := range rates {
		r.Rows = append(r.Rows, Row{
			Policy: "smg-cache-aware", Rate: rate, Requests: 4823, Completed: 4823, GoodputRPS: 14.24, RequestRate: 14.24, ArrivalsS: 299.7,
			TTFT: load.Latency{P50: 127, P90: 850, P99: 99_000, Max: 1}, TPOT: load.Latency{P50: 59.8, P99: 126.3, Max: 1},
			OutputTokensPerS: 12_345, PrefixHitRate: 1, Imbalance: 1.02, Starved: 0.1,
		})
	}
	return r
}

func textOf(t *testing.T, r *Report, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b, width); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTableFitsTheTerminal(t *testing.T) {
	r := reportOf(4, 16)
	for _, width := range []int{60, 80, 100, 120, 160, 164, 170} {
		text := textOf(t, r, width)
		for line := range strings.Lines(text) {
			if n := lipgloss.Width(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
	}
	f := func(width int, has, lacks []string) {
		t.Helper()
		text := textOf(t, r, width)
		for _, want := range has {
			if !strings.Contains(text, want) {
				t.Errorf("%d columns lack %s:\n%s", width, want, text)
			}
		}
		table, _, _ := strings.Cut(text, "No room for: ")
		for _, name := range lacks {
			if strings.Contains(table, name) {
				t.Errorf("%d columns have %s:\n%s", width, name, text)
			}
		}
	}
	f(0, []string{"requests", "good ", "p90", "TPOT p50", "out tok/s", "prefix hit", "imbalance", "idle, held", "rejected"}, nil)
	f(160, []string{"TPOT p50", "No room for: idle, held. A wider terminal has them, and --json."}, []string{"idle"})
	f(80, []string{"goodput/s", "TTFT p50", "p99", "TPOT p99", "rejected", "No room for: idle, held; imbalance; out tok/s; requests; TPOT p50; TTFT p90;"},
		[]string{"imbalance", "out tok/s", "TPOT p50", "p90", "prefix hit"})
	if text := textOf(t, r, 0); strings.Contains(text, "No room") {
		t.Errorf("no terminal, and something is left out:\n%s", text)
	}
}

func TestTableSaysHowLongRequestsCame(t *testing.T) {
	f := func(want string, r *Report) {
		t.Helper()
		if text := textOf(t, r, 0); !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("got %s, want %q", text, want)
		}
	}
	r := reportOf(4)
	f("Requests come for about 300 s, in virtual time.", r)
	r = reportOf(4, 16)
	f("Requests come for about 300 s at each rate, in virtual time.", r)
	r.Rows[1].ArrivalsS = 24.6
	f("Requests come for about 300 s at 4, 25 s at 16, in virtual time.", r)
	r = reportOf(4, 4) // a closed loop's policies
	r.Rows[1].ArrivalsS = 324.6
	f("Requests come for about 300 to 320 s, in virtual time.", r)
}

func TestTableSaysWhatIsInForce(t *testing.T) {
	r := reportOf(4)
	if text := textOf(t, r, 0); strings.Contains(text, "In force") {
		t.Errorf("nothing is unusual: %s", text)
	}
	s := &r.Settings
	s.DurationS, s.Queue, s.Fail = 90, 50, []string{"1m0s:2:30s"}
	s.Shed, s.Early, s.OneKey, s.Oracle = true, true, true, true
	want := "In force: --duration 90s, --queue 50, --fail 1m0s:2:30s, --shed, --early, --one-key, --oracle.\n"
	if text := textOf(t, r, 0); !strings.Contains(text, want) {
		t.Errorf("got %s, want %q", text, want)
	}
}

func TestOfNoRequestNothingIsSaid(t *testing.T) {
	r := reportOf(4)
	r.Rows[0] = Row{Policy: "p2c", Rate: 4, Imbalance: 1}
	cells := r.Rows[0].cells(columns)
	for i, cell := range cells {
		switch columns[i].name {
		case "rate", "policy", "requests", "rejected":
		default:
			if cell != "-" {
				t.Errorf("%s is %s", columns[i].title(), cell)
			}
		}
	}
	if points := curves[1].points(r, "p2c"); len(points) != 0 {
		t.Errorf("a curve has the points %v", points)
	}
	r.Rows[0].Requests, r.Rows[0].Rejected = 3, 3
	if cells := r.Rows[0].cells(columns); cells[4] != "0.0 %" || cells[5] != "-" {
		t.Errorf("all rejected: %v", cells)
	}
}

func TestFairnessSaysWhoseAndInWhat(t *testing.T) {
	r := reportOf(1)
	r.Rows[0].Unserved, r.Rows[0].Service = 4414, []Service{{0, 429_312}, {1, 813_312}}
	text := textOf(t, r, 0)
	for _, want := range []string{
		"in token costs: 1 for a token of a prompt, 2 for one of an answer. Clients are numbered as the title names them.\n",
		"rate 1, smg-cache-aware: client 1 429312, client 2 813312, at most 4414 apart while two of them wait\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %q", text, want)
		}
	}
}

func TestSameReportSamePage(t *testing.T) {
	first, err := Page([]*Report{reportOf(4, 16)}, "a test")
	second, err2 := Page([]*Report{reportOf(4, 16)}, "a test")
	if err != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Errorf("%v, %v, or not the same", err, err2)
	}
	for _, want := range []string{"By a test.", "TTFT p99 (log scale)", "<th>arrivals</th>", "<td>299.7 s</td>"} {
		if !strings.Contains(string(first), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
