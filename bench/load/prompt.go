package load

import "math/rand/v2"

// words are 128 of three letters: one token each with the vocabularies of
// today's models, and four bytes with their space, which is what estimates from
// bytes take one token for.
const words = "act add age ago aid aim air all and any arm art ask bad bag bar bed bet big bit box boy bus but buy can cap car cat cop " +
	"cry cup cut day die dig dog dry due ear eat egg end eye fan far fat fee few fit fix fly for fun gap gas get god gun guy hat her " +
	"him his hit hot how ice ill its job joy key kid law lay led leg let lie lip log lot low man map may mix mom net new nor not now " +
	"odd off oil old one our out own pay per pop put raw red rid row run sad say sea see set she sit six sky son sum sun tax ten the tie tip "

const (
	wordBits  = 7
	wordBytes = 4
	wordMask  = 1<<wordBits - 1
	nameWords = 4             // that tell a run's prompts apart
	draw      = 64 / wordBits // words from one random number
)

// appendPrompt appends the prompt of request number: words by seed, about so
// many tokens, at least four. It begins with the number, so that no two prompts
// of a run begin alike and no prefix cache hits.
func appendPrompt(dst []byte, seed, number uint64, tokens int) []byte {
	var dice rand.PCG
	dice.Seed(seed, 0)
	name := dice.Uint64() + number // another run has other names
	for range nameWords {
		dst = appendWord(dst, name)
		name >>= wordBits
	}
	dice.Seed(seed, number)
	dst = appendWords(dst, &dice, tokens-nameWords)
	return dst[:len(dst)-1]
}

// passageStream tells texts of workloads from prompts.
const passageStream = 0x7e87

// appendPassage appends the first tokens of a workload's text. The text's number
// alone decides, so that what is shared between prompts is so byte by byte. It
// ends with a space: what follows begins a word.
func appendPassage(dst []byte, text uint64, tokens int) []byte {
	var dice rand.PCG
	dice.Seed(text, passageStream)
	return appendWords(dst, &dice, tokens)
}

func appendWords(dst []byte, dice *rand.PCG, words int) []byte {
	for left := words; left > 0; left -= draw {
		x := dice.Uint64()
		for range min(left, draw) {
			dst = appendWord(dst, x)
			x >>= wordBits
		}
	}
	return dst
}

// appendWord appends the word that the lowest bits of x choose, and a space.
func appendWord(dst []byte, x uint64) []byte {
	i := x & wordMask * wordBytes
	return append(dst, words[i:i+wordBytes]...)
}
