package sim

import (
	"slices"
	"strconv"

	"penstock/scheduler/telemetry"
)

// The families of each engine, in its own order and words: backends.md, d.1 and
// appendix X2. Those that a simulated engine can never count are left out.

const gauge, counter = "gauge", "counter"

var vllmFamilies = []family{
	value("vllm:num_requests_running", gauge, "Number of requests in model execution batches.", running),
	value("vllm:num_requests_waiting", gauge, "Number of requests waiting to be processed.", waiting),
	split("vllm:num_requests_waiting_by_reason", gauge, "Number of waiting requests by reason.", "reason", []string{"capacity", "deferred"},
		func(p *page, n int) float64 { return float64(p.stats.Waiting * (1 - n)) }),
	split("vllm:engine_sleep_state", gauge, "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake.",
		"sleep_state", []string{"awake", "weights_offloaded", "discard_all"}, sleepState),
	value("vllm:kv_cache_usage_perc", gauge, "KV-cache usage. 1 means 100 percent usage.", kvUsage),
	value("vllm:prefix_cache_queries_total", counter, "Prefix cache queries, in terms of number of queried tokens.", prefixQueries),
	value("vllm:prefix_cache_hits_total", counter, "Prefix cache hits, in terms of number of cached tokens.", prefixHits),
	value("vllm:num_preemptions_total", counter, "Cumulative number of preemption from the engine.", preemptions),
	value("vllm:prompt_tokens_total", counter, "Number of prefill tokens processed.", promptTokens),
	value("vllm:prompt_tokens_cached_total", counter, "Number of cached prompt tokens.", prefixHits),
	value("vllm:generation_tokens_total", counter, "Number of generation tokens processed.", outputTokens),
	successes("vllm:request_success_total"),
	spread("vllm:request_prompt_tokens", "Number of prefill tokens processed.", func(m *meter) *telemetry.Histogram { return m.promptTokens }),
	spread("vllm:request_generation_tokens", "Number of generation tokens processed.", func(m *meter) *telemetry.Histogram { return m.outputTokens }),
	spread("vllm:request_params_max_tokens", "Histogram of the max_tokens request parameter.", func(m *meter) *telemetry.Histogram { return m.maxToken }),
	spread("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", ttft),
	spread("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", itl),
	spread("vllm:request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", func(m *meter) *telemetry.Histogram { return m.tpot }),
	spread("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", e2e),
	spread("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", func(m *meter) *telemetry.Histogram { return m.queue }),
	spread("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", func(m *meter) *telemetry.Histogram { return m.inference }),
	spread("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", func(m *meter) *telemetry.Histogram { return m.prefill }),
	spread("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", func(m *meter) *telemetry.Histogram { return m.decode }),
	{"vllm:cache_config_info", gauge, "Information of the LLMEngine CacheConfig", func(p *page, name string) {
		f := p.instance.profile
		p.Sample(name, 1, "block_size", strconv.Itoa(f.BlockSize), "cache_dtype", "auto", "enable_prefix_caching", "True", "engine", "0",
			"gpu_memory_utilization", "0.92", "kv_cache_max_concurrency", strconv.FormatFloat(float64(f.KVTokens())/float64(f.MaxModelLen), 'f', 1, 64),
			"kv_cache_size_tokens", strconv.Itoa(f.KVTokens()), "num_cpu_blocks", "None", "num_gpu_blocks", strconv.Itoa(f.KVBlocks))
	}},
}

var oldVLLMFamilies = []family{
	{"vllm:cache_config_info", gauge, "Information of the LLMEngine CacheConfig", func(p *page, name string) {
		f := p.instance.profile
		p.Sample(name, 1, "block_size", strconv.Itoa(f.BlockSize), "cache_dtype", "auto", "enable_prefix_caching", "True",
			"gpu_memory_utilization", "0.9", "num_cpu_blocks", "0", "num_gpu_blocks", strconv.Itoa(f.KVBlocks))
	}},
	value("vllm:num_requests_running", gauge, "Number of requests currently running on GPU.", running),
	value("vllm:num_requests_swapped", gauge, "Number of requests swapped to CPU.", zero),
	value("vllm:num_requests_waiting", gauge, "Number of requests waiting to be processed.", waiting),
	value("vllm:gpu_cache_usage_perc", gauge, "GPU KV-cache usage. 1 means 100 percent usage.", kvUsage),
	value("vllm:cpu_cache_usage_perc", gauge, "CPU KV-cache usage. 1 means 100 percent usage.", zero),
	value("vllm:gpu_prefix_cache_hit_rate", gauge, "GPU prefix cache block hit rate.", hitRate),
	value("vllm:cpu_prefix_cache_hit_rate", gauge, "CPU prefix cache block hit rate.", func(*page) float64 { return -1 }),
	value("vllm:num_preemptions_total", counter, "Cumulative number of preemption from the engine.", preemptions),
	value("vllm:prompt_tokens_total", counter, "Number of prefill tokens processed.", promptTokens),
	value("vllm:generation_tokens_total", counter, "Number of generation tokens processed.", outputTokens),
	value("vllm:tokens_total", counter, "Number of prefill plus generation tokens processed.",
		func(p *page) float64 { return promptTokens(p) + outputTokens(p) }),
	successes("vllm:request_success_total"),
	spread("vllm:request_prompt_tokens", "Number of prefill tokens processed.", func(m *meter) *telemetry.Histogram { return m.promptTokens }),
	spread("vllm:request_generation_tokens", "Number of generation tokens processed.", func(m *meter) *telemetry.Histogram { return m.outputTokens }),
	spread("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", ttft),
	spread("vllm:time_per_output_token_seconds", "Histogram of time per output token in seconds.", itl),
	spread("vllm:e2e_request_latency_seconds", "Histogram of end to end request latency in seconds.", e2e),
}

var sglangFamilies = []family{
	value("sglang:num_running_reqs", gauge, "The number of running requests.", running),
	value("sglang:num_used_tokens", gauge, "The number of used tokens.",
		func(p *page) float64 { return float64(p.stats.UsedBlocks * p.instance.profile.BlockSize) }),
	value("sglang:token_usage", gauge, "The token usage.", kvUsage),
	value("sglang:num_queue_reqs", gauge, "The number of requests in the waiting queue.", waiting),
	value("sglang:cache_hit_rate", gauge, "The prefix cache hit rate.", hitRate),
	value("sglang:max_total_num_tokens", gauge, "Maximum total number of tokens in the KV cache pool.",
		func(p *page) float64 { return float64(p.instance.profile.KVTokens()) }),
	{"sglang:cache_config_info", gauge, "Cache configuration information.", func(p *page, name string) {
		f := p.instance.profile
		p.Sample(name, 1, "num_pages", strconv.Itoa(f.KVBlocks), "page_size", strconv.Itoa(f.BlockSize))
	}},
	value("sglang:num_retracted_requests_total", counter, "Total number of retracted requests.", preemptions),
	value("sglang:prompt_tokens_total", counter, "Number of prefill tokens processed.", promptTokens),
	value("sglang:generation_tokens_total", counter, "Number of generation tokens processed.", outputTokens),
	split("sglang:cached_tokens_total", counter, "Number of cached prompt tokens by source (device/host/storage).", "cache_source", []string{"device"},
		func(p *page, _ int) float64 { return prefixHits(p) }),
	value("sglang:num_requests_total", counter, "Number of requests processed.", func(p *page) float64 { return float64(p.stats.Finished) }),
	value("sglang:num_aborted_requests_total", counter, "Number of requests aborted.", func(p *page) float64 { return float64(p.stats.Aborted) }),
	spread("sglang:time_to_first_token_seconds", "Histogram of time to first token in seconds.", ttft),
	spread("sglang:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", itl),
	spread("sglang:e2e_request_latency_seconds", "Histogram of End-to-end request latency in seconds", e2e),
}

func successes(name string) family {
	return split(name, counter, "Count of successfully processed requests.", "finished_reason", reasons,
		func(p *page, n int) float64 { return float64(p.instance.meter.ends[n].Load()) })
}

// sleepState is 1 at the state that the engine is in.
func sleepState(p *page, n int) float64 {
	if p.instance.hasFault(faultAsleep) {
		return float64(n % 2) // weights_offloaded
	}
	return float64((3 - n) / 3)
}

func zero(*page) float64            { return 0 }
func running(p *page) float64       { return float64(p.stats.Running) }
func waiting(p *page) float64       { return float64(p.stats.Waiting) }
func kvUsage(p *page) float64       { return p.stats.KVUsage() }
func preemptions(p *page) float64   { return float64(p.stats.Preemptions) }
func promptTokens(p *page) float64  { return float64(p.stats.PromptTokens) }
func outputTokens(p *page) float64  { return float64(p.stats.GeneratedTokens) }
func prefixQueries(p *page) float64 { return float64(p.stats.PrefixQueries) }
func prefixHits(p *page) float64    { return float64(p.stats.PrefixHits) }
func hitRate(p *page) float64       { return prefixHits(p) / max(1, prefixQueries(p)) }

func ttft(m *meter) *telemetry.Histogram { return m.ttft }
func itl(m *meter) *telemetry.Histogram  { return m.itl }
func e2e(m *meter) *telemetry.Histogram  { return m.e2e }

// labels that every sample of an engine has.
func (d *dialect) labels(model string) []string {
	return append(slices.Clone(d.rank), "model_name", model)
}
