package scheduler

import (
	"cmp"

	"penstock/scheduler/engine"
)

// mostUsage bounds a usage that is none.
const mostUsage = 1e6

// mostRequests bounds what an engine may say that it has.
const mostRequests = 1 << 16

// requests is a number of them as an engine says it: what it adds up of many
// series may be more than an integer holds.
func requests(v float64) int64 { return int64(min(v, mostRequests)) }

// report publishes what the engine said, but for which of it is believed. before
// and ended are our account's words of when it was asked.
func (i *Instance) report(r *engine.Reading, before int64, ended uint64) {
	running, waiting := requests(r.Running), requests(r.Waiting)
	mine := max(before, i.row.inFlight.Load())
	i.said.running.Store(running)
	i.said.waiting.Store(waiting)
	usage := int64(min(r.KVUsage, mostUsage) * 1e6)
	i.said.kvUsage.Store(usage)
	i.said.kvSize.Store(r.KVCapacityTokens)
	i.said.kvRest.Store(int64(float64(r.KVCapacityTokens)*float64(usage)/1e6) - i.row.work.kept.Load())
	i.said.foreign.Store(max(running+waiting-mine, 0))
	i.said.ended.Store(ended)
	i.said.tokens.Store(r.PromptTokens + r.GenerationTokens)
	i.ceiling.heard(running, waiting, usage, i.row.streams.Load(), ended, r.At)
	i.said.limit.Store(cmp.Or(int64(r.Limit), i.ceiling.limit))
	if waiting == 0 {
		i.said.known.Store(max(i.said.known.Load(), running, i.stated(r)))
	}
	if kind := i.kind.Load(); *kind != r.Kind {
		read := r.Kind
		i.kind.Store(&read)
	}
	if v := i.version.Load(); r.Version != "" && (v == nil || *v != r.Version) {
		read := r.Version
		i.version.Store(&read)
	}
	at := r.At.UnixNano()
	i.heardAt.Store(at)
	for n, value := range [sigProgress]int64{
		running, waiting, usage, int64(r.PromptTokens + r.GenerationTokens), int64(r.PrefixHits),
	} {
		if r.Has.Has(signalSources[n].has) {
			i.signals[n].said(value, at)
		}
	}
}

// tellEvidence publishes what people have to know of the signals.
func (i *Instance) tellEvidence(text string) {
	switch was := i.evidence.Load(); {
	case text == "" && was != nil:
		i.evidence.Store(nil)
	case text != "" && (was == nil || *was != text):
		i.evidence.Store(&text)
	}
}

// stated is how many requests of full length the engine has room for: as it
// says, or as its KV cache and its context do.
func (i *Instance) stated(r *engine.Reading) int64 {
	longest := i.Context()
	if r.MaxConcurrency > 0 || longest == 0 {
		return int64(r.MaxConcurrency)
	}
	return r.KVCapacityTokens / int64(longest)
}
