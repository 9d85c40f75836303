package config

import (
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// joinPlain puts host:port together again. In a list that stands inside {…},
// goccy/go-yaml takes every colon for the end of a key; in YAML 1.2 one without
// a space after it is a part of the plain scalar around it
// (https://yaml.org/spec/1.2.2/#733-plain-style).
func joinPlain(tokens token.Tokens) token.Tokens {
	var joined token.Tokens
	var brackets []token.Type
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets = append(brackets, t.Type)
		case token.MappingEndType, token.SequenceEndType:
			brackets = brackets[:max(len(brackets)-1, 0)]
		case token.MappingValueType:
			inList := len(brackets) > 0 && brackets[len(brackets)-1] == token.SequenceStartType
			if !inList || i+1 == len(tokens) || !isPlain(tokens[i+1]) || !touch(t, tokens[i+1]) {
				break
			}
			next := tokens[i+1]
			i++
			t = token.String(t.Value+next.Value, t.Origin+next.Origin, t.Position)
			if last := len(joined) - 1; last >= 0 && isPlain(joined[last]) && touch(joined[last], t) {
				before := joined[last]
				joined = joined[:last]
				t = token.String(before.Value+t.Value, before.Origin+t.Origin, before.Position)
			}
		}
		joined.Add(t)
	}
	return joined
}

func isPlain(t *token.Token) bool {
	return t.CharacterType == token.CharacterTypeMiscellaneous && t.Indicator == token.NotIndicator && t.Type != token.CommentType
}

// touch says whether nothing stands between a and b.
func touch(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
}
