package dataplane

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"penstock/scheduler"
	"penstock/scheduler/telemetry"
)

// page reads the gateway's metrics: each family's type, each series' value.
func (r *rig) page() (kinds map[string]string, series map[string]string) {
	r.t.Helper()
	var w telemetry.Writer
	r.g.Collect(&w)
	kinds, series = make(map[string]string), make(map[string]string)
	name := ""
	for line := range strings.Lines(string(w.Bytes())) {
		line = strings.TrimSuffix(line, "\n")
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "# HELP "):
			if len(f) < 4 || !strings.HasSuffix(line, ".") {
				r.t.Errorf("no help: %s", line)
			}
		case strings.HasPrefix(line, "# TYPE "):
			name = f[2]
			if _, twice := kinds[name]; twice {
				r.t.Errorf("%s stands twice", name)
			}
			kinds[name] = f[3]
		default:
			if !strings.HasPrefix(line, name) {
				r.t.Errorf("%s stands under %s", line, name)
			}
			key, value, _ := strings.Cut(line, " ")
			if at := strings.LastIndexByte(line, '}'); at >= 0 {
				key, value = line[:at+1], line[at+2:]
			}
			if _, twice := series[key]; twice {
				r.t.Errorf("%s stands twice", key)
			}
			series[key] = value
		}
	}
	return kinds, series
}

func TestFamiliesOfTheGateway(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url, newEngine(t, ok).url), nil)
	kinds, series := r.page()
	f := func(kind string, names ...string) {
		t.Helper()
		for _, name := range names {
			if kinds["penstock_"+name] != kind {
				t.Errorf("penstock_%s is %q, want a %s", name, kinds["penstock_"+name], kind)
			}
		}
	}
	f("counter", "requests_total", "request_errors_total", "prompt_tokens_total", "generation_tokens_total", "retries_total", "aborts_total", "tokens_saved_total")
	f("gauge", "gateway_requests", "gateway_pending", "ttft_window_seconds", "tpot_window_seconds", "instance_pending")
	f("histogram", "ttft_seconds", "tpot_seconds", "itl_seconds", "request_seconds", "pending_seconds", "overhead_seconds")

	// Closed lists are there from the start.
	closed := func(name, label string, values ...string) {
		t.Helper()
		for _, v := range values {
			if _, there := series[fmt.Sprintf("penstock_%s{%s=%q}", name, label, v)]; !there {
				t.Errorf("penstock_%s{%s=%q} is missing", name, label, v)
			}
		}
		if n := len(keysOf(series, "penstock_"+name+"{")); n != len(values) {
			t.Errorf("penstock_%s has %d series, want %d", name, n, len(values))
		}
	}
	closed("request_errors_total", "reason", "bad_request", "auth", "forbidden", "not_found", "too_large", "queue_full", "queue_timeout", "rate_limited",
		"no_instance", "instance_failed", "instance_timeout", "client_gone", "draining", "internal")
	closed("aborts_total", "when", "pending", "before_first_byte", "streaming")
	closed("retries_total", "outcome", "ok", "failed", "exhausted")
	closed("ttft_window_seconds", "stat", "max", "avg", "min", "p50", "p90", "p95", "p99")
	closed("tpot_window_seconds", "stat", "max", "avg", "min", "p50", "p90", "p95", "p99")
	closed("instance_pending", "instance", "a", "b")
	for key, v := range series {
		if v != "0" && !strings.Contains(key, "connections") {
			t.Errorf("before the first request: %s %s", key, v)
		}
	}
}

func keysOf(series map[string]string, prefix string) []string {
	var keys []string
	for k := range series {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func TestRequestIsAccounted(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(b), `"stream":true`) {
			ok(w, r) // 3 and 2 tokens
			return
		}
		sse(w)
		for range 4 {
			event(w, `{"choices":[{"text":"x"}]}`)
		}
		event(w, `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":40}}`)
		event(w, "[DONE]")
	})
	r := start(t, instances(e.url), withKeys(keyOf("ann", "sk-one")))
	p := r.dial() // one, as a client that leaves at the last byte may cost the engine's connection
	for _, body := range []string{ask, askStream, askStream, `{"model":"m"`} {
		p.post(body, "Authorization: sk-one")
		p.whole()
	}
	want := map[string]string{
		`penstock_requests_total{route="/v1/completions",code="200",key="ann"}`: "3",
		`penstock_requests_total{route="/v1/completions",code="400",key="ann"}`: "1",
		`penstock_request_errors_total{reason="bad_request"}`:                   "1",
		`penstock_prompt_tokens_total`:                                          "17",
		`penstock_generation_tokens_total`:                                      "82",
		`penstock_gateway_requests`:                                             "0",
		`penstock_ttft_seconds_count`:                                           "3",
		`penstock_request_seconds_count`:                                        "3",
		`penstock_pending_seconds_count`:                                        "3",
		`penstock_overhead_seconds_count`:                                       "3",
		`penstock_instance_dials_total{instance="a"}`:                           "1",
	}
	r.until("the accounts to be closed", func() bool {
		_, series := r.page()
		return series[`penstock_requests_total{route="/v1/completions",code="400",key="ann"}`] == "1" && series["penstock_gateway_requests"] == "0"
	})
	_, series := r.page()
	for key, v := range want {
		if series[key] != v {
			t.Errorf("%s is %s, want %s", key, series[key], v)
		}
	}
	s := r.g.Stats()
	if s.Requests != 4 || s.Errors != 1 || s.PromptTokens != 17 || s.OutputTokens != 82 || s.Current != 0 || s.TTFT.Max <= 0 {
		t.Errorf("the short account: %+v", s)
	}
}

func TestTimesOfAStream(t *testing.T) {
	next := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		sse(w)
		for range 3 {
			event(w, "x")
			<-next
		}
		event(w, "[DONE]")
	})
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(askStream)
	body := p.response().Body
	for range 3 {
		if _, err := io.ReadFull(body, make([]byte, len("data: x\n\n"))); err != nil {
			t.Fatal(err)
		}
		next <- struct{}{}
	}
	if _, err := io.ReadAll(body); err != nil {
		t.Fatal(err)
	}
	r.until("the stream to be counted", func() bool { return r.metric("penstock_request_seconds_count") == 1 })
	_, series := r.page()
	for key, want := range map[string]string{"ttft": "1", "tpot": "1", "itl": "3", "request": "1"} {
		got := series["penstock_"+key+"_seconds_count"]
		if key == "itl" && got == "4" { // the end may come apart from the last event
			continue
		}
		if got != want {
			t.Errorf("%s was observed %s times, want %s", key, got, want)
		}
	}
	if series[`penstock_tpot_window_seconds{stat="max"}`] == "0" || series[`penstock_ttft_window_seconds{stat="p50"}`] == "0" {
		t.Error("nothing is in the windows of the last minute")
	}
}

// What clients and engines say never makes a series of its own.
func TestLabelsAreBounded(t *testing.T) {
	status := 200
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
	})
	r := start(t, instances(e.url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{keyOf(`a"\key`, "sk-one")} })
	for i, s := range []int{200, 206, 299, 418, 451, 507, 599} {
		status = s
		r.do(ask, "Authorization: sk-one")
		r.call("GET", fmt.Sprintf("/nonsense/%d", i), "Authorization: sk-one")
		r.call("GET", fmt.Sprintf("/nonsense/%d", i), fmt.Sprintf("Authorization: sk-%d", i))
	}
	r.until("the requests to be counted", func() bool {
		_, series := r.page()
		return series[`penstock_requests_total{route="other",code="401",key=""}`] == "7"
	})
	_, series := r.page()
	want := []string{
		`penstock_requests_total{route="/v1/completions",code="200",key="a\"\\key"}`,
		`penstock_requests_total{route="/v1/completions",code="other",key="a\"\\key"}`,
		`penstock_requests_total{route="other",code="401",key=""}`,
		`penstock_requests_total{route="other",code="404",key="a\"\\key"}`,
	}
	if got := keysOf(series, "penstock_requests_total"); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestHistogramsAreReadable(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	r.do(ask)
	r.until("the request to be counted", func() bool { return r.metric("penstock_ttft_seconds_count") == 1 })
	_, series := r.page()
	bucket := regexp.MustCompile(`^penstock_[a-z]+_seconds_bucket\{le="([0-9.e+-]+|\+Inf)"\}$`)
	n := 0
	for key, v := range series {
		if !strings.Contains(key, "_bucket") {
			continue
		}
		n++
		if !bucket.MatchString(key) {
			t.Errorf("a bucket that is none: %s", key)
		}
		if name, _, _ := strings.Cut(key, "_bucket"); strings.HasSuffix(key, `"+Inf"}`) && series[name+"_count"] != v {
			t.Errorf("%s %s, but the count is %s", key, v, series[name+"_count"])
		}
	}
	if n == 0 {
		t.Error("no buckets")
	}
}
