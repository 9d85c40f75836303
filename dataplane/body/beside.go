package body

// beside is what a key of the top level is to the model that routing does not
// read.
type beside uint8

const (
	besideText    beside = iota // the model may read it, as it stands there
	besideContent               // the model reads it, and there may be media in it
	besideIDs                   // the model reads it, as token ids
	besideMedia                 // what work it is, its length does not tell
	besideNone                  // says how to answer, or is for the engine
)

// besideOf leaves out what is surely no text: a key that is not known may hold
// a prompt, which must not be had for nothing.
func besideOf(name []byte) beside {
	switch string(name) {
	case "documents", "query", "queries", "items", "text_1", "text_2", "data_1", "data_2":
		return besideContent
	case "input_ids", "prompt_token_ids", "token_ids", "tokens":
		return besideIDs
	case "image_data", "audio_data", "video_data", "input_embeds", "prompt_embeds", "data", "image", "images", "audio", "video":
		return besideMedia
	case "response_format", "structured_outputs", "guided_json", "guided_grammar", "json_schema", "grammar", "regex", "ebnf", "sampling_params", "parameters",
		"logit_bias", "stream_options", "metadata", "kv_transfer_params":
		return besideNone
	}
	return besideText
}

// besides reads the value at i of a key that stands beside what routing reads.
func (s *Scanner) besides(b []byte, i int, kind beside, f *Fields) (end int, err *Error) {
	end, sum, err := s.walk(b, i, 1)
	if err != nil {
		return 0, err
	}
	if typeOf(b[i])&(aString|anArray|anObject) == 0 {
		return end, nil
	}
	whole := end - i - len(`""`) - sum.saved
	switch kind {
	case besideText:
		f.TextBytes += whole
	case besideContent:
		f.TextBytes += whole - sum.away
		f.Media = f.Media || sum.media
	case besideIDs:
		f.Tokens += sum.ids
	case besideMedia:
		f.Media = true
	}
	return end, nil
}
