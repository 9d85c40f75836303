package body

import (
	"errors"
	"strings"
	"testing"
)

func TestScanRefuses(t *testing.T) {
	f := func(body string, offset int, param, msg string) {
		t.Helper()
		var s Scanner
		var got Fields
		err := s.Scan([]byte(body), &got)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.100q: got error %v", body, err)
			return
		}
		if e.Offset != offset || e.Param != param || e.Msg != msg {
			t.Errorf("%.100q:\n got %d %q %q\nwant %d %q %q", body, e.Offset, e.Param, e.Msg, offset, param, msg)
		}
		if got.HasModel || got.Model != nil || got.MaxTokens != -1 || got.N != 1 || got.Prompt.Len() != 0 {
			t.Errorf("%.100q: left %+v", body, got)
		}
	}
	syntax := func(body string, offset int, msg string) { t.Helper(); f(body, offset, "", msg) }

	// No object.
	syntax("", 0, "the body is empty, expected a JSON object")
	syntax(" \n ", 3, "the body is empty, expected a JSON object")
	syntax("\xef\xbb\xbf{}", 0, "the body begins with a byte order mark; JSON is sent without one")
	syntax(" []", 1, "expected a JSON object, found an array")
	syntax(`"a"`, 0, "expected a JSON object, found a string")
	syntax("1", 0, "expected a JSON object, found a number")
	syntax("null", 0, "expected a JSON object, found null")
	syntax("true", 0, "expected a JSON object, found a boolean")
	syntax("model=x", 0, "expected a JSON object, found 'm'")
	syntax("\x1f\x8b", 0, "expected a JSON object, found byte 0x1f")
	syntax("{} {}", 3, "expected the end of the body after its JSON object, found '{'")
	syntax(`{"a":1}x`, 7, "expected the end of the body after its JSON object, found 'x'")
	syntax("{}\x00", 2, "expected the end of the body after its JSON object, found byte 0x00")

	// Keys, colons, commas.
	syntax("{", 1, "the body ends inside an object")
	syntax("{a:1}", 1, "expected a key in double quotes, found 'a'")
	syntax("{'a':1}", 1, "expected a key in double quotes, found '''")
	syntax("{,}", 1, "expected a key in double quotes, found ','")
	syntax(`{"a":1,}`, 7, "expected a key in double quotes, found '}'")
	syntax(`{"a":1,`, 7, "the body ends inside an object")
	syntax(`{"a"}`, 4, "expected ':' after a key, found '}'")
	syntax(`{"a" 1}`, 5, "expected ':' after a key, found '1'")
	syntax(`{"a"`, 4, "the body ends inside an object")
	syntax(`{"a":`, 5, "the body ends inside an object")
	syntax(`{"a":}`, 5, "expected a value, found '}'")
	syntax(`{"a":1 "b":2}`, 7, "expected ',' or '}', found '\"'")
	syntax(`{"a":1]`, 6, "expected ',' or '}', found ']'")
	syntax(`{"a":1`, 6, "the body ends inside an object")
	syntax(`{"a" /* */:1}`, 5, "expected ':' after a key, found '/'")

	// Deeper.
	syntax(`{"a":[`, 6, "the body ends inside an array")
	syntax(`{"a":[1`, 7, "the body ends inside an array")
	syntax(`{"a":[1,`, 8, "the body ends inside an array")
	syntax(`{"a":[1,]}`, 8, "expected a value, found ']'")
	syntax(`{"a":[,1]}`, 6, "expected a value, found ','")
	syntax(`{"a":[1}}`, 7, "expected ',' or ']', found '}'")
	syntax(`{"a":[1 2]}`, 8, "expected ',' or ']', found '2'")
	syntax(`{"a":{"b":1]}`, 11, "expected ',' or '}', found ']'")
	syntax(`{"a":{"b":1,}}`, 12, "expected a key in double quotes, found '}'")
	syntax(`{"a":{1:2}}`, 6, "expected a key in double quotes, found '1'")
	syntax(`{"a":{"b":{}`, 12, "the body ends inside an object")
	syntax(`{"a":`+strings.Repeat("[", 1<<20), 5+MaxDepth-1, "arrays and objects are nested more than 512 deep")
	syntax(`{"a":`+strings.Repeat(`{"a":`, 1<<20), 5*MaxDepth, "arrays and objects are nested more than 512 deep")

	// Literals and numbers.
	syntax(`{"a":nul}`, 8, "expected null, found '}'")
	syntax(`{"a":nul`, 8, "the body ends inside null")
	syntax(`{"a":trux}`, 8, "expected true, found 'x'")
	syntax(`{"a":fals`, 9, "the body ends inside false")
	syntax(`{"model":nil}`, 10, "expected null, found 'i'")
	syntax(`{"a":truex}`, 9, "expected ',' or '}', found 'x'")
	syntax(`{"a":True}`, 5, "expected a value, found 'T'")
	syntax(`{"a":NaN}`, 5, "expected a value, found 'N'")
	syntax(`{"a":Infinity}`, 5, "expected a value, found 'I'")
	syntax(`{"a":-Infinity}`, 6, "expected a digit, found 'I'")
	syntax(`{"a":01}`, 6, "expected ',' or '}', found '1'")
	syntax(`{"a":-}`, 6, "expected a digit, found '}'")
	syntax(`{"a":-`, 6, "the body ends inside a number")
	syntax(`{"a":+1}`, 5, "expected a value, found '+'")
	syntax(`{"a":.5}`, 5, "expected a value, found '.'")
	syntax(`{"a":1.}`, 7, "expected a digit, found '}'")
	syntax(`{"a":1.e1}`, 7, "expected a digit, found 'e'")
	syntax(`{"a":1e}`, 7, "expected a digit, found '}'")
	syntax(`{"a":1e+`, 8, "the body ends inside a number")
	syntax(`{"a":0x10}`, 6, "expected ',' or '}', found 'x'")
	syntax(`{"a":1_000}`, 6, "expected ',' or '}', found '_'")
	syntax(`{"max_tokens":NaN}`[:14], 14, "the body ends inside an object")

	// Strings.
	syntax(`{"a`, 3, "the body ends inside a string")
	syntax(`{"a":"b`, 7, "the body ends inside a string")
	syntax(`{"a":"\`, 7, "the body ends inside a string")
	syntax(`{"a":"\u12`, 10, "the body ends inside a string")
	syntax(`{"a":"\x41"}`, 6, `a string holds \ before 'x', which is no escape; a backslash is written \\`)
	syntax(`{"a":"\'"}`, 6, `a string holds \ before ''', which is no escape; a backslash is written \\`)
	syntax(`{"a":"\U0041"}`, 6, `a string holds \ before 'U', which is no escape; a backslash is written \\`)
	syntax(`{"a":"\u12g4"}`, 10, `expected four hexadecimal digits after \u, found 'g'`)
	syntax(`{"a":"\u12"}`, 10, `expected four hexadecimal digits after \u, found '"'`)
	syntax("{\"a\":\"b\nc\"}", 7, "a string holds byte 0x0a; control characters must be escaped")
	syntax("{\"a\":\"b\x00\"}", 7, "a string holds byte 0x00; control characters must be escaped")
	syntax("{\"a\":\"b\xff\"}", 7, "a string holds byte 0xff, which is not UTF-8 there")
	syntax("{\"a\":\"\xc3\"}", 6, "a string holds byte 0xc3, which is not UTF-8 there")
	syntax("{\"a\":\"\xc0\x80\"}", 6, "a string holds byte 0xc0, which is not UTF-8 there")
	syntax("{\"a\":\"\xed\xa0\x80\"}", 6, "a string holds byte 0xed, which is not UTF-8 there")
	syntax("{\"a\":\"\xe4\xb8\xad\xe4\xb8\"}", 9, "a string holds byte 0xe4, which is not UTF-8 there")
	syntax("{\"\xff\":1}", 2, "a string holds byte 0xff, which is not UTF-8 there")

	// A routing key twice, however it is written.
	const twice = "the key stands twice; parsers differ in which one counts"
	for k := KeyModel; k <= KeyInput; k++ {
		f(`{"`+k.String()+`":null,"`+k.String()+`":null}`, len(`{"":null,`)+len(k.String()), k.String(), twice)
	}
	f(`{"model":"a","mod\u0065l":"b"}`, 13, "model", twice)
	f(`{"stream":true,"stream":true}`, 15, "stream", twice)

	// A routing key of a wrong type.
	f(`{"model":7}`, 9, "model", "expected a string, found a number")
	f(`{"model": true}`, 10, "model", "expected a string, found a boolean")
	f(`{"model":{}}`, 9, "model", "expected a string, found an object")
	f(`{"model":x}`, 9, "model", "expected a string, found 'x'")
	f(`{"model":"`+strings.Repeat("m", maxModel+1)+`"}`, 9, "model", "the name is longer than 512 bytes")
	f(`{"model":"`+strings.Repeat("m", maxModel)+`\n"}`, 9, "model", "the name is longer than 512 bytes")
	f(`{"model":"`+strings.Repeat(`\u4e2d`, 1<<16)+`"}`, 9, "model", "the name is longer than 512 bytes")
	f(`{"stream":1}`, 10, "stream", "expected true or false, found a number")
	f(`{"stream":"yes"}`, 10, "stream", "expected true or false, found a string")
	f(`{"stream":"tru\u0065 and more than any key has"}`, 10, "stream", "expected true or false, found a string")
	f(`{"stream":[]}`, 10, "stream", "expected true or false, found an array")
	f(`{"max_tokens":"34"}`, 14, "max_tokens", "expected an integer, found a string")
	f(`{"max_tokens":true}`, 14, "max_tokens", "expected an integer, found a boolean")
	f(`{"max_tokens":NaN}`, 14, "max_tokens", "expected an integer, found 'N'")
	f(`{"max_tokens":1.5}`, 14, "max_tokens", "expected an integer, found a number with a fraction")
	f(`{"max_completion_tokens":1e-1}`, 25, "max_completion_tokens", "expected an integer, found a number with a fraction")
	f(`{"n":[1]}`, 5, "n", "expected an integer, found an array")
	f(`{"messages":"hi"}`, 12, "messages", "expected an array, found a string")
	f(`{"messages":{}}`, 12, "messages", "expected an array, found an object")
	f(`{"prompt":7}`, 10, "prompt", "expected "+promptTypes+", found a number")
	f(`{"prompt":{"id":"x"}}`, 10, "prompt", "expected "+promptTypes+", found an object")
	f(`{"prompt":{"id":"x"},"input":null}`, 10, "prompt", "expected "+promptTypes+", found an object")
	f(`{"prompt":["a",1]}`, 15, "prompt", "expected "+promptTypes+", found a number")
	f(`{"prompt":[1,"a"]}`, 13, "prompt", "expected "+promptTypes+", found a string")
	f(`{"prompt":[1,[1]]}`, 13, "prompt", "expected "+promptTypes+", found an array")
	f(`{"prompt":[[1],["a"]]}`, 16, "prompt", "expected "+promptTypes+", found a string")
	f(`{"prompt":[[[1]]]}`, 12, "prompt", "expected "+promptTypes+", found an array")
	f(`{"prompt":[{}]}`, 11, "prompt", "expected "+promptTypes+", found an object")
	f(`{"prompt":[null]}`, 11, "prompt", "expected "+promptTypes+", found null")
	f(`{"prompt":[1,1.5]}`, 13, "prompt", "expected an integer, found a number with a fraction")
	f(`{"prompt":[1,]}`, 13, "prompt", "expected "+promptTypes+", found ']'")
	f(`{"input":7}`, 9, "input", "expected "+inputTypes+", found a number")
	f(`{"input":{}}`, 9, "input", "expected "+inputTypes+", found an object")
	f(`{"input":[true]}`, 10, "input", "expected "+inputTypes+", found a boolean")
	f(`{"input":[0.5]}`, 10, "input", "expected an integer, found a number with a fraction")
	syntax(`{"prompt":[1`, 12, "the body ends inside an array")
	syntax(`{"prompt":[`, 11, "the body ends inside an array")
	syntax(`{"prompt":[1}`, 12, "expected ',' or ']', found '}'")
}

func TestErrorText(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		var s Scanner
		var f Fields
		if err := s.Scan([]byte(body), &f); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
	f(`{"n":"1"}`, "n at byte 5: expected an integer, found a string")
	f(`{"n":1`, "byte 6: the body ends inside an object")
}

// Every prefix of a good body is refused, at its end at the latest.
func TestScanTruncated(t *testing.T) {
	body := []byte(`{"model":"m\u00e9\n","stream":true,"n":1.0e0,"a":[null,{"b":-1}],"prompt":[[1,2],[3]],"input":[{"data":"中"},[1]]}`)
	var s Scanner
	var f Fields
	if err := s.Scan(body, &f); err != nil {
		t.Fatal(err)
	}
	for n := range body {
		var e *Error
		if err := s.Scan(body[:n], &f); !errors.As(err, &e) || e.Offset > n {
			t.Errorf("%s: got %v", body[:n], err)
		}
	}
}
