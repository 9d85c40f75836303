package engine

// profiles is all that this package knows of particular engines: a new engine
// is a new row, and a renamed metric one more line in it. Auto tries them in
// this order, and the first of those that say most wins.
//
// Lines of the same field and age are added up (usages: the highest), those of
// the lowest age found win over older names of the same thing. docs/engines.md
// is made from this table.
var profiles = []*profile{
	// vllm/engine/metrics.py (V0), vllm/v1/metrics/loggers.py (V1)
	newProfile(profile{
		kind: VLLM, owner: "vllm",
		steps: true, // vllm/v1/metrics/loggers.py, record
		about: []string{"/version"}, aboutFrom: []source{from("version", version)},
		page: []source{
			from("vllm:num_requests_running", running),
			from("vllm:num_requests_waiting", waiting),
			// V0 only. A swapped request has lost its place and goes before any
			// new one, which is what waiting means to a router.
			from("vllm:num_requests_swapped", waiting),
			from("vllm:kv_cache_usage_perc", kvUsage),
			older("vllm:gpu_cache_usage_perc", kvUsage), // until 2025-11
			from("vllm:prompt_tokens_total", promptTokens),
			from("vllm:generation_tokens_total", generationTokens),
			from("vllm:prefix_cache_queries_total", prefixQueries),
			from("vllm:prefix_cache_hits_total", prefixHits),
			older("vllm:gpu_prefix_cache_queries_total", prefixQueries), // until 2025-11
			older("vllm:gpu_prefix_cache_hits_total", prefixHits),
			from("vllm:cache_config_info[kv_cache_size_tokens]", kvTokens),
			from("vllm:cache_config_info[kv_cache_max_concurrency]", concurrency),
			from("vllm:cache_config_info[num_gpu_blocks]", kvBlocks),
			from("vllm:cache_config_info[block_size]", blockTokens),
			from(`vllm:engine_sleep_state{sleep_state="awake"}`, awake),
		},
	}),
	// python/sglang/srt/observability/metrics_collector.py, entrypoints/v1_loads.py
	newProfile(profile{
		kind: SGLang, owner: "sglang", generate: "/health_generate",
		about: []string{"/server_info", "/get_server_info"}, aboutFrom: []source{from("version", version)},
		loads: "/v1/loads?include=core,queues",
		loadsFrom: []source{
			from("loads.*.num_running_reqs", running),
			from("loads.*.num_waiting_reqs", waiting),
			from("loads.*.queues.grammar", waiting),
			from("loads.*.token_usage", kvUsage),
			from("loads.*.max_total_num_tokens", kvTokens),
			older("loads.*.max_total_tokens", kvTokens),
			from("loads.*.max_running_requests", limit),
		},
		page: []source{
			from("sglang:num_running_reqs", running),
			from("sglang:num_queue_reqs", waiting),
			// A request whose grammar is being compiled is in a list of its own,
			// and no part of the queue.
			from("sglang:num_grammar_queue_reqs", waiting),
			from("sglang:token_usage", kvUsage),
			from("sglang:max_total_num_tokens", kvTokens),
			from("sglang:cache_config_info[num_pages]", kvBlocks),
			from("sglang:cache_config_info[page_size]", blockTokens),
			// These move while requests run, the older two only as one ends, when
			// a hang can no longer be told from a long answer.
			from(`sglang:realtime_tokens_total{mode="prefill_compute"}`, promptTokens),
			from(`sglang:realtime_tokens_total{mode="prefill_cache"}`, promptTokens),
			from(`sglang:realtime_tokens_total{mode="decode"}`, generationTokens),
			older("sglang:prompt_tokens_total", promptTokens),
			older("sglang:generation_tokens_total", generationTokens),
			// Every prompt token is looked up; hits come by cache_source (device,
			// host, storage), whose sum they are.
			from("sglang:prompt_tokens_total", prefixQueries),
			from("sglang:cached_tokens_total", prefixHits),
		},
	}),
	// lmdeploy/metrics/loggers.py
	newProfile(profile{
		kind: LMDeploy, owner: "lmdeploy",
		page: []source{
			from("lmdeploy:num_requests_running", running),
			from("lmdeploy:num_requests_waiting", waiting),
			from("lmdeploy:num_api_requests_waiting", waiting), // not in the engine yet
			from("lmdeploy:gpu_cache_usage_perc", kvUsage),
			from("lmdeploy:prompt_tokens_total", promptTokens),
			from("lmdeploy:generation_tokens_total", generationTokens),
			from("lmdeploy:prompt_tokens_total", prefixQueries),
			from("lmdeploy:cached_tokens_total", prefixHits),
		},
	}),
	// router/src/server.rs, backends/v3/src. Its sums move as a request comes
	// (prompt) and as it ends (answer).
	newProfile(profile{
		kind:  TGI, // owned_by is the model's name
		about: []string{"/info"}, aboutFrom: []source{from("version", version)},
		page: []source{
			from("tgi_batch_current_size", running),
			from("tgi_queue_size", waiting),
			from("tgi_batch_current_max_tokens", kvUsedTokens),
			from("tgi_batch_max_total_tokens", kvTokens),
			from("tgi_request_input_length_sum", promptTokens),
			from("tgi_request_generated_tokens_sum", generationTokens),
		},
	}),
	// tensorrt_llm/metrics/collector.py. /metrics is JSON of iterations there;
	// the counters move as a request ends.
	newProfile(profile{
		kind: TRTLLM, owner: "tensorrt_llm",
		pages: []string{"/prometheus/metrics", "/metrics"},
		about: []string{"/version"}, aboutFrom: []source{from("version", version)},
		page: []source{
			from("trtllm_num_requests_running", running),
			from("trtllm_num_requests_waiting", waiting),
			from("trtllm_kv_cache_utilization", kvUsage),
			from("trtllm_kv_cache_max_blocks", kvBlocks),
			from("trtllm_kv_cache_tokens_per_block", blockTokens),
			from("trtllm_max_num_active_requests", limit),
			from("trtllm_prompt_tokens_total", promptTokens),
			from("trtllm_generation_tokens_total", generationTokens),
			// In blocks: each is either reused or missed.
			from("trtllm_kv_cache_reused_blocks_total", prefixQueries),
			from("trtllm_kv_cache_missed_blocks_total", prefixQueries),
			from("trtllm_kv_cache_reused_blocks_total", prefixHits),
		},
	}),
	// Triton's metrics may be on a port of their own (8002): the URL's port is
	// asked, as its OpenAI frontend has them there too.
	newProfile(profile{
		kind: Triton, owner: "Triton Inference Server", health: "/health/ready",
		about: []string{"/v2"}, aboutFrom: []source{from("version", version)},
		page: []source{
			from(`nv_trt_llm_request_metrics{request_type="scheduled"}`, running),
			from(`nv_trt_llm_request_metrics{request_type="waiting"}`, waiting),
			from(`nv_trt_llm_request_metrics{request_type="max"}`, limit),
			from(`nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction"}`, kvUsage),
			from(`nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used"}`, kvUsedBlocks),
			from(`nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"}`, kvBlocks),
			from(`nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per"}`, blockTokens),
		},
	}),
	// tools/server. Its is_sleeping is no sleep to us: the next request wakes it.
	newProfile(profile{
		kind: LlamaCPP, owner: "llamacpp",
		about: []string{"/props"}, aboutFrom: []source{from("build_info", version), from("total_slots", limit)},
		page: []source{
			from("llamacpp:requests_processing", running),
			from("llamacpp:requests_deferred", waiting),
			from("llamacpp:kv_cache_usage_ratio", kvUsage), // until 2025
			from("llamacpp:prompt_tokens_total", promptTokens),
			from("llamacpp:tokens_predicted_total", generationTokens),
		},
	}),
	// Documented nowhere. The names are those that the managed service's page
	// gives for the engines it reads, and BladeLLM's own, of Llumnix.
	newProfile(profile{
		kind: BladeLLM, unproven: true,
		page: []source{
			from("vllm:num_requests_running", running),
			from("vllm:num_requests_waiting", waiting),
			from("vllm:num_requests_swapped", waiting),
			from("vllm:gpu_cache_usage_perc", kvUsage),
			from("vllm:prompt_tokens_total", promptTokens),
			from("vllm:generation_tokens_total", generationTokens),
			from("num_running_requests", running),
			from("num_waiting_requests", waiting),
			from("num_used_gpu_blocks", kvUsedBlocks),
			from("num_total_gpu_blocks", kvBlocks),
		},
	}),
}
