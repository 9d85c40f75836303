package sim

import (
	"net/http"
	"time"
)

// What an engine says of itself.

func (i *Instance) health(w http.ResponseWriter, _ *http.Request) {
	if f, _ := i.fault.get(); f.Kind == faultLoading {
		reply(w, http.StatusServiceUnavailable, map[string]any{"error": map[string]any{"code": 503, "message": "Loading model", "type": "unavailable_error"}})
		return
	}
	replyBytes(w, http.StatusOK, "text/plain", nil)
}

func (i *Instance) version(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]string{"version": i.dialect.version})
}

// load counts the requests being served, as vLLM does with
// --enable-server-load-tracking.
func (i *Instance) load(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]int64{"server_load": i.inFlight.Load()})
}

func (i *Instance) models(w http.ResponseWriter, _ *http.Request) {
	created := i.clock.begin.Unix()
	if f, _ := i.fault.get(); f.Kind == faultLoading {
		answer(w, map[string]any{"object": "list", "data": []any{}})
		return
	}
	answer(w, map[string]any{"object": "list", "data": []any{map[string]any{
		"id": i.config.Model, "object": "model", "created": created, "owned_by": i.dialect.owner,
		"root": i.config.Model, "parent": nil, "max_model_len": i.profile.MaxModelLen,
		"permission": []any{map[string]any{
			"id": "modelperm-simulated", "object": "model_permission", "created": created,
			"allow_create_engine": false, "allow_sampling": true, "allow_logprobs": true, "allow_search_indices": false,
			"allow_view": true, "allow_fine_tuning": false, "organization": "*", "group": nil, "is_blocking": false,
		}},
	}}})
}

// serverInfo is SGLang's.
func (i *Instance) serverInfo(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"model_path": i.config.Model, "served_model_name": i.config.Model, "version": i.dialect.version,
		"max_running_requests": i.profile.MaxNumSeqs, "max_total_num_tokens": i.profile.KVTokens(),
		"page_size": i.profile.BlockSize, "context_length": i.profile.MaxModelLen, "status": "ready",
	})
}

// loads is SGLang's /v1/loads.
func (i *Instance) loads(w http.ResponseWriter, r *http.Request) {
	s, ok := i.shownStats(w)
	if !ok {
		return
	}
	answer(w, map[string]any{
		"timestamp": float64(time.Now().UnixMilli()) / 1e3, "version": i.dialect.version, "dp_rank_count": 1,
		"loads": []any{map[string]any{
			"dp_rank": 0, "num_running_reqs": s.Running, "num_waiting_reqs": s.Waiting, "num_total_reqs": s.Running + s.Waiting,
			"num_used_tokens": s.UsedBlocks * i.profile.BlockSize, "max_total_num_tokens": i.profile.KVTokens(),
			"token_usage": s.KVUsage(), "max_running_requests": i.profile.MaxNumSeqs,
		}},
		"aggregate": map[string]any{
			"total_running_reqs": s.Running, "total_waiting_reqs": s.Waiting, "total_reqs": s.Running + s.Waiting, "avg_token_usage": s.KVUsage(),
		},
	})
}
