package engine

import "slices"

// profiles is all that this package knows of particular engines: a new engine
// is a new row, and a renamed metric one more line in it. Auto tries them in
// this order, and the first of those that say most wins.
//
// Lines of the same field and age are added up (usages: the highest), those of
// the lowest age found win over older names of the same thing. Sources: vLLM
// vllm/engine/metrics.py (V0) and vllm/v1/metrics/loggers.py (V1), SGLang
// python/sglang/srt/observability/metrics_collector.py.
var profiles = []*profile{
	newProfile(VLLM, "vllm:", "/metrics",
		source{metric: "vllm:num_requests_running", to: running},
		source{metric: "vllm:num_requests_waiting", to: waiting},
		// V0 only. A swapped request has lost its place and goes before any
		// new one, which is what waiting means to a router.
		source{metric: "vllm:num_requests_swapped", to: waiting},
		source{metric: "vllm:kv_cache_usage_perc", to: kvUsage},
		source{metric: "vllm:gpu_cache_usage_perc", to: kvUsage, age: 1}, // until 2025-11
		source{metric: "vllm:prompt_tokens_total", to: promptTokens},
		source{metric: "vllm:generation_tokens_total", to: generationTokens},
		source{metric: "vllm:prefix_cache_queries_total", to: prefixQueries},
		source{metric: "vllm:prefix_cache_hits_total", to: prefixHits},
		source{metric: "vllm:gpu_prefix_cache_queries_total", to: prefixQueries, age: 1}, // until 2025-11
		source{metric: "vllm:gpu_prefix_cache_hits_total", to: prefixHits, age: 1},
		source{metric: "vllm:cache_config_info", label: "kv_cache_size_tokens", to: kvTokens},
		source{metric: "vllm:cache_config_info", label: "kv_cache_max_concurrency", to: concurrency},
		source{metric: "vllm:cache_config_info", label: "num_gpu_blocks", to: kvBlocks},
		source{metric: "vllm:cache_config_info", label: "block_size", to: blockTokens},
	),
	newProfile(SGLang, "sglang:", "/metrics",
		source{metric: "sglang:num_running_reqs", to: running},
		source{metric: "sglang:num_queue_reqs", to: waiting},
		source{metric: "sglang:token_usage", to: kvUsage},
		source{metric: "sglang:max_total_num_tokens", to: kvTokens},
		source{metric: "sglang:cache_config_info", label: "num_pages", to: kvBlocks},
		source{metric: "sglang:cache_config_info", label: "page_size", to: blockTokens},
		source{metric: "sglang:prompt_tokens_total", to: promptTokens},
		source{metric: "sglang:generation_tokens_total", to: generationTokens},
		// Every prompt token is looked up; hits come by cache_source (device,
		// host, storage), whose sum they are.
		source{metric: "sglang:prompt_tokens_total", to: prefixQueries},
		source{metric: "sglang:cached_tokens_total", to: prefixHits},
	),
}

// source says which field a metric's value, or one label of an info metric,
// goes to.
type source struct {
	metric string
	label  string // "": the sample's value
	to     field
	age    uint8 // 0: the newest name of the field
}

// profile is one engine kind.
type profile struct {
	kind    Kind
	prefix  string // of all its metrics: most lines of a foreign page end here
	path    string // of the metrics page
	names   []string
	sources map[string][]source // by metric
}

func newProfile(kind Kind, prefix, path string, sources ...source) *profile {
	p := &profile{kind: kind, prefix: prefix, path: path, sources: make(map[string][]source)}
	for _, s := range sources {
		if p.sources[s.metric] == nil {
			p.names = append(p.names, s.metric)
		}
		p.sources[s.metric] = append(p.sources[s.metric], s)
	}
	return p
}

// profileOf returns nil for Auto and for a kind without a profile.
func profileOf(k Kind) *profile {
	i := slices.IndexFunc(profiles, func(p *profile) bool { return p.kind == k })
	if i < 0 {
		return nil
	}
	return profiles[i]
}
