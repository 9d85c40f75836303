package engine

// Kind names an engine: where it says what, and what that means. Besides those
// of the table there are the operator's own, named by Custom.
type Kind string

const (
	// Auto finds the kind by what the engine serves.
	Auto     Kind = "auto"
	VLLM     Kind = "vllm"
	SGLang   Kind = "sglang"
	LMDeploy Kind = "lmdeploy"
	TGI      Kind = "tgi"
	TRTLLM   Kind = "trtllm" // trtllm-serve
	Triton   Kind = "triton" // Triton Inference Server with the TensorRT-LLM backend
	LlamaCPP Kind = "llamacpp"
	BladeLLM Kind = "bladellm"
)

// Known reports whether k is Auto or in the table: a Client can be made for it
// without Options.Custom.
func (k Kind) Known() bool { return k == Auto || profileOf(k) != nil }

// CountsSteps reports whether the engine's token counters rise with every step:
// while it works, they do. False where nobody has seen them to.
func (k Kind) CountsSteps() bool {
	p := profileOf(k)
	return p != nil && p.steps
}

// Kinds lists the known kinds, Auto first.
func Kinds() []Kind { return kindsOf(profiles) }

func kindsOf(table []*profile) []Kind {
	kinds := []Kind{Auto}
	for _, p := range table {
		kinds = append(kinds, p.kind)
	}
	return kinds
}
