package sim

import (
	"net/http"
	"strings"
)

func (i *Instance) tokenize(w http.ResponseWriter, r *http.Request) {
	a, ok := i.ask(w, r)
	if !ok {
		return
	}
	ids := []uint32{}
	add := func(id uint32) { ids = append(ids, id) }
	switch {
	case a.Messages != nil:
		eachChatToken(a.Messages, add)
	case len(a.Prompt) == 1:
		a.Prompt[0].each(add)
	default:
		i.fail(w, missing("prompt"))
		return
	}
	var strs []string
	if a.TokenStrs {
		strs = make([]string, len(ids))
		for n, id := range ids {
			strs[n] = tokenText(id)
		}
	}
	answer(w, map[string]any{"count": len(ids), "max_model_len": i.profile.MaxModelLen, "tokens": ids, "token_strs": strs})
}

func (i *Instance) detokenize(w http.ResponseWriter, r *http.Request) {
	a, ok := i.ask(w, r)
	if !ok {
		return
	}
	if a.Tokens == nil {
		i.fail(w, missing("tokens"))
		return
	}
	var b strings.Builder
	for _, id := range a.Tokens {
		b.WriteString(tokenText(id))
	}
	answer(w, map[string]string{"prompt": b.String()})
}
