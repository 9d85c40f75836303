package body

// Key is a top-level key that routing reads.
type Key uint8

// The keys that routing reads. KeyNone is every other key.
const (
	KeyNone Key = iota
	KeyModel
	KeyStream
	KeyMaxTokens
	KeyMaxCompletionTokens
	KeyN
	KeyPrompt
	KeyMessages
	KeyInput
)

// longestKey is the length of the longest of keyNames.
const longestKey = len("max_completion_tokens")

var keyNames = [...]string{
	KeyNone:                "",
	KeyModel:               "model",
	KeyStream:              "stream",
	KeyMaxTokens:           "max_tokens",
	KeyMaxCompletionTokens: "max_completion_tokens",
	KeyN:                   "n",
	KeyPrompt:              "prompt",
	KeyMessages:            "messages",
	KeyInput:               "input",
}

// String is the key as it stands in a body; empty for KeyNone.
func (k Key) String() string { return keyNames[k] }

// keyOf says which key an unescaped name is. A switch and not a map: the
// compiler searches it by length and content without hashing.
func keyOf(name []byte) Key {
	switch string(name) {
	case "model":
		return KeyModel
	case "stream":
		return KeyStream
	case "max_tokens":
		return KeyMaxTokens
	case "max_completion_tokens":
		return KeyMaxCompletionTokens
	case "n":
		return KeyN
	case "prompt":
		return KeyPrompt
	case "messages":
		return KeyMessages
	case "input":
		return KeyInput
	}
	return KeyNone
}

// keys is a set of Keys.
type keys uint16

func (s keys) has(k Key) bool { return s&(1<<k) != 0 }
func (s *keys) add(k Key)     { *s |= 1 << k }

// Span is the range of bytes [Start, End) of a body. The zero Span is empty.
type Span struct{ Start, End int }

// Len is the number of bytes in the span.
func (s Span) Len() int { return s.End - s.Start }

// Of is the span's part of the body it was found in.
func (s Span) Of(b []byte) []byte { return b[s.Start:s.End] }

// Fields is what routing needs of a request body. A key whose value is null
// counts as absent.
type Fields struct {
	// Model is the model's name, unescaped, at most 512 bytes: part of the body
	// where it has no escapes, else part of the Scanner (until its next Scan).
	Model     []byte
	HasModel  bool
	Stream    bool
	HasStream bool

	// MaxTokens is max_completion_tokens, else max_tokens, else -1. Values above
	// math.MaxInt32 read as that: callers may add and multiply without overflow.
	MaxTokens int
	// N is the number of answers asked for, 1 when absent.
	N int

	// Prompt is the value of prompt, messages or input (PromptKey says which, the
	// one with the most in it when there are several), quotes or brackets included.
	Prompt    Span
	PromptKey Key
	// TextBytes estimates the text that a model reads, as UTF-8, where \uXXXX
	// counts as three bytes. Of Prompt these are all its string values, but no
	// object keys, no data: URLs of media and no strings that are the value of a
	// key "data" (audio and images). What stands beside Prompt (tools, system,
	// instructions, text, documents …) counts whole, for engines write tools out
	// with their keys and brackets; not so numbers, and what besideOf leaves out.
	TextBytes int
	// Media says that there is more than text: Prompt holds a key "data", or one
	// of the names under which APIs take images, audio, video and files, or such
	// a name stands beside it.
	Media bool
	// Tokens is the number of integers where prompt or input holds token ids, or
	// a key beside them that is for those.
	Tokens int
}

// nothing is what Fields says of a body in which nothing was found.
var nothing = Fields{MaxTokens: -1, N: 1}
