package engine

import (
	"bytes"
	"strings"
	"testing"
)

func TestReadSeries(t *testing.T) {
	f := func(line string, want float64, has bool) {
		t.Helper()
		var got tally
		profileOf(VLLM).text.read([]byte(line), &got)
		if c := got.cells[running]; c.set != has || c.value != want {
			t.Errorf("%q: got %v (set: %v), want %v (set: %v)", line, c.value, c.set, want, has)
		}
	}
	good := func(line string, want float64) { t.Helper(); f(line, want, true) }
	bad := func(line string) { t.Helper(); f(line, 0, false) }

	// The forms of a series.
	good("vllm:num_requests_running 3", 3)
	good("vllm:num_requests_running{} 3.0\n", 3)
	good("vllm:num_requests_running\t \t3.0\t\n", 3)
	good("vllm:num_requests_running {a=\"b\"}3\n", 3)
	good("vllm:num_requests_running{model_name=\"m\",} 3", 3)
	good("vllm:num_requests_running{model_name=\"m\"} 3.0 1395066363000", 3)
	good("vllm:num_requests_running{model_name=\"m\"} 17 # {trace_id=\"x\"} 0.5", 17)
	good("vllm:num_requests_running 3\r\n", 3)
	good("# HELP vllm:num_requests_running x\nvllm:num_requests_running 3\n\n\n", 3)

	// Labels may hold anything.
	good(`vllm:num_requests_running{model_name="a\"} 9"} 3`, 3)
	good(`vllm:num_requests_running{model_name="a\\"} 3`, 3)
	good(`vllm:num_requests_running{model_name="a}b{c,d=e",x="} 8"} 3`, 3)
	good("vllm:num_requests_running{model_name=\"модель \xff\"} 3", 3)

	// Numbers.
	good("vllm:num_requests_running 1.5e+02", 150)
	good("vllm:num_requests_running 1E2", 100)
	good("vllm:num_requests_running 0", 0)
	good("vllm:num_requests_running +2", 2)
	bad("vllm:num_requests_running NaN")
	bad("vllm:num_requests_running +Inf")
	bad("vllm:num_requests_running -Inf")
	bad("vllm:num_requests_running -1")
	bad("vllm:num_requests_running 1e309")
	bad("vllm:num_requests_running 1e300")
	bad("vllm:num_requests_running 3,0")
	bad("vllm:num_requests_running x")
	bad("vllm:num_requests_running 0000000000000000000000000000000000000000000003")

	// Cut off, or of another name.
	bad("vllm:num_requests_running")
	bad("vllm:num_requests_running ")
	bad("vllm:num_requests_running{")
	bad(`vllm:num_requests_running{model_name="m} 3`)
	bad(`vllm:num_requests_running{model_name="m\"} 3`)
	bad(`vllm:num_requests_running{model_name="m"`)
	bad(`vllm:num_requests_running{model_name="m"}`)
	bad("vllm:num_requests_running_total 3")
	bad("vllm:num_requests_runnin 3")
	bad("xvllm:num_requests_running 3")
	bad("# vllm:num_requests_running 3")
	bad("vllm:")
	bad("")

	// A series of a hundred KB is nobody's.
	bad(`vllm:num_requests_running{m="` + strings.Repeat("x", 100<<10) + `"} 3`)
	// But a long one that is not needed hides nothing.
	good("vllm:lora_requests_info{l=\""+strings.Repeat("x", 100<<10)+"\"} 1\nvllm:num_requests_running 3\n", 3)

	// A bad rank does not take the good ones with it.
	good("vllm:num_requests_running{engine=\"0\"} 3\nvllm:num_requests_running{engine=\"1\"} NaN\nvllm:num_requests_running{engine=\"2\"} 4\n", 7)
}

func TestLabelValue(t *testing.T) {
	f := func(labels, want string) {
		t.Helper()
		if got := labelValue([]byte(labels), "size"); string(got) != want {
			t.Errorf("%s: got %q, want %q", labels, got, want)
		}
	}
	f(`size="16"`, "16")
	f(`a="b",size="16",c="d"`, "16")
	f(`a="b" , size = "16" ,`, "16")
	f(`a="size=\"9\"",size="16"`, "16")
	f(`a="\\",size="16"`, "16")
	f(`block_size="9",size="16"`, "16")
	f(`size_max="9"`, "")
	f(`size=16`, "")
	f(`size="16`, "")
	f(`size`, "")
	f(`a=b,size="16"`, "")
	f(``, "")
}

// The newest name of a thing wins whatever the order on the page, and counters
// of two ages give no ratio.
func TestAges(t *testing.T) {
	f := func(page string, want Reading) {
		t.Helper()
		want.Kind = VLLM
		if got := detected([]byte(page)); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", page, got, want)
		}
	}
	f("vllm:gpu_cache_usage_perc 0.9\nvllm:kv_cache_usage_perc 0\n", Reading{Has: HasKVUsage})
	f("vllm:kv_cache_usage_perc 0\nvllm:gpu_cache_usage_perc 0.9\n", Reading{Has: HasKVUsage})
	f("vllm:gpu_cache_usage_perc 0.9\nvllm:gpu_cache_usage_perc 0.5\n", Reading{Has: HasKVUsage, KVUsage: 0.9})
	f("vllm:kv_cache_usage_perc 1.01\n", Reading{Has: HasKVUsage, KVUsage: 1}) // rounding
	f("vllm:kv_cache_usage_perc 23\n", Reading{Has: HasKVUsage, KVUsage: 23})  // a percentage: nobody's full engine
	f("vllm:num_requests_running 1\nvllm:prefix_cache_queries_total 10\nvllm:gpu_prefix_cache_hits_total 5\n", Reading{Has: HasRunning, Running: 1})
	f("vllm:num_requests_running 1\nvllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"None\"} 1\n", Reading{Has: HasRunning, Running: 1})
}

// A series is told from others of its family by its labels.
func TestLabelEquality(t *testing.T) {
	f := func(name, page string, want float64, has bool) {
		t.Helper()
		s, err := parseSource(name)
		if err != nil {
			t.Fatal(err)
		}
		x := newTextIndex([]source{s})
		var got tally
		x.read([]byte(page), &got)
		if c := got.cells[running]; c.value != want || c.set != has {
			t.Errorf("%s of %q: got %v (%v), want %v (%v)", name, page, c.value, c.set, want, has)
		}
	}
	const page = "m{t=\"a\",v=\"1\"} 5\nm{v=\"1\",t=\"b\"} 7\nm{t=\"ab\"} 11\nm 13\n"
	f(`m{t="a"}`, page, 5, true)
	f(`m{t="b"}`, page, 7, true)
	f(`m{v="1"}`, page, 12, true)
	f(`m{v="1",t="b"}`, page, 7, true)
	f(`m{t="c"}`, page, 0, false)
	f(`m[v]`, page, 2, true)
	f(`m{t="b"}[v]`, page, 1, true)
	f(`m`, page, 36, true)
}

func TestReadAllocatesNothing(t *testing.T) {
	page := golden(t, "real-vllm-0.32.metrics")
	p := profileOf(VLLM)
	var r Reading
	if n := testing.AllocsPerRun(20, func() {
		var sum tally
		p.text.read(page, &sum)
		sum.fill(&r)
	}); n != 0 {
		t.Errorf("%v allocations for a page, want 0", n)
	}
}

// Whatever the bytes: no panic, values in range, and a page read line by line
// says the same as in one piece.
func FuzzText(f *testing.F) {
	for name := range goldens {
		f.Add(golden(f, name))
	}
	f.Add([]byte(`vllm:num_requests_running{model_name="a\"} 9"} 3 1395066363000`))
	f.Add([]byte("vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"9\"} 1\nsglang:token_usage NaN"))
	f.Fuzz(func(t *testing.T, page []byte) {
		for _, p := range profiles {
			var whole, parts tally
			p.text.read(page, &whole)
			for line := range bytes.Lines(page) {
				p.text.read(line, &parts)
			}
			if whole != parts {
				t.Fatalf("%s: %+v in one piece, %+v line by line", p.kind, whole, parts)
			}
			checkRange(t, p.kind, &whole)
		}
	})
}

func checkRange(t *testing.T, k Kind, said *tally) {
	t.Helper()
	var r Reading
	said.fill(&r)
	if !(r.Running >= 0 && r.Waiting >= 0 && r.KVUsage >= 0 && (r.KVUsage <= 1 || r.KVUsage > 1+usageSlack && r.KVUsage <= maxValue) && r.KVCapacityTokens >= 0 && r.MaxConcurrency >= 0) {
		t.Fatalf("%s: out of range: %+v", k, r)
	}
}
