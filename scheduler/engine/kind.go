package engine

// Kind names an engine: which metrics it exposes and what they mean.
type Kind string

const (
	// Auto finds the kind by the names on the metrics page.
	Auto   Kind = "auto"
	VLLM   Kind = "vllm"
	SGLang Kind = "sglang"
)

// Known reports whether a Client can be made for k.
func (k Kind) Known() bool { return k == Auto || profileOf(k) != nil }

// Kinds lists the kinds that a Client can be made for, Auto first.
func Kinds() []Kind {
	kinds := []Kind{Auto}
	for _, p := range profiles {
		kinds = append(kinds, p.kind)
	}
	return kinds
}
