package body

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
)

const formType = "multipart/form-data; boundary=X"

// form is a body whose parts are heads and values, as a browser writes it.
func form(headsAndValues ...string) string {
	var b strings.Builder
	for i := 0; i < len(headsAndValues); i += 2 {
		b.WriteString("--X\r\n" + headsAndValues[i] + "\r\n\r\n" + headsAndValues[i+1] + "\r\n")
	}
	b.WriteString("--X--\r\n")
	return b.String()
}

func disposition(params string) string { return "Content-Disposition: form-data; " + params }

func TestMultipartModel(t *testing.T) {
	f := func(contentType, body, want string) {
		t.Helper()
		if got, ok := MultipartModel([]byte(contentType), []byte(body)); !ok || string(got) != want {
			t.Errorf("%s: %.300q: got %q, %v, want %q", contentType, body, got, ok, want)
		}
	}
	model := disposition(`name="model"`)
	whisper := form(model, "whisper")

	// The boundary.
	f(formType, whisper, "whisper")
	f(`Multipart/Form-Data;Boundary="X"`, whisper, "whisper")
	f(`multipart/form-data ; charset=utf-8 ; boundary="X" `, whisper, "whisper")
	f("multipart/form-data; boundary=X;charset=utf-8", whisper, "whisper")
	f("multipart/form-data; boundary=a/b+c=d?e", strings.ReplaceAll(whisper, "--X", "--a/b+c=d?e"), "whisper")
	f(`multipart/form-data; boundary="a b:c"`, strings.ReplaceAll(whisper, "--X", "--a b:c"), "whisper")
	long := strings.Repeat("b", 70)
	f("multipart/form-data; boundary="+long, strings.ReplaceAll(whisper, "--X", "--"+long), "whisper")

	// The part.
	f(formType, form("content-disposition:form-data;name=model", "m"), "m")
	f(formType, form("Content-Type: text/plain\r\nCONTENT-DISPOSITION: Form-Data; NAME=\"model\" ; x=y", "m"), "m")
	f(formType, form(model, ""), "")
	f(formType, form(model, " a\r\nb--X\r\n-X "), " a\r\nb--X\r\n-X ")
	f(formType, form(model, "模型"), "模型")
	f(formType, form(model, strings.Repeat("m", maxModel)), strings.Repeat("m", maxModel))

	// Among others.
	f(formType, form(disposition(`name="file"; filename="a\"b.wav"`), "\x00RIFF\r\n\r\n--", model, "m", disposition(`name="language"`), "en"), "m")
	f(formType, form(disposition(`name="model[]"`), "x", disposition(`name="Model"`), "x", model, "m"), "m")
	f(formType, form(disposition(`name="model"; filename="model"`), "x", model, "m"), "m")

	// The form goes on beyond what is looked at, or was cut off.
	audio := strings.Repeat("\x00\r\n--Y", maxForm)
	f(formType, form(model, "m", disposition(`name="file"; filename="a.wav"`), audio), "m")
	f(formType, form(model, "m", "X-Long: "+strings.Repeat("x", maxForm), ""), "m")
	f(formType, "--X\r\n"+model+"\r\n\r\nm\r\n--X\r\n", "m")
	f(formType, "--X\r\n"+model+"\r\n\r\nm\r\n--X--", "m")

	// The value's end must lie within the bound, whole.
	room := maxForm - len("--X\r\n"+disposition("name=a")+"\r\n\r\n"+"\r\n--X\r\n"+model+"\r\n\r\n"+"m\r\n--X--")
	f(formType, form(disposition("name=a"), strings.Repeat("a", room), model, "m"), "m")
}

func TestMultipartModelNot(t *testing.T) {
	f := func(contentType, body string) {
		t.Helper()
		if got, ok := MultipartModel([]byte(contentType), []byte(body)); ok || got != nil {
			t.Errorf("%s: %.300q: got %q, %v", contentType, body, got, ok)
		}
	}
	model := disposition(`name="model"`)
	whisper := form(model, "whisper")

	// The content type.
	for _, contentType := range []string{"", ";", "application/json", "multipart/mixed; boundary=X", "multipart/form-data",
		"multipart/form-data; boundary", "multipart/form-data; boundary=", `multipart/form-data; boundary=""`,
		`multipart/form-data; boundary="X`, `multipart/form-data; boundary="\X"`, `multipart/form-data; boundary="X"Y`,
		"multipart/form-data; boundary=X; boundary=X", "multipart/form-data; boundary*=X", "multipart/form-data; boundary*0=X; boundary=X",
		"multipart/form-data; boundary=X X", "multipart/form-data; boundary =X", "multipart/form-data; =; boundary=X",
		"multipart/form-data; boundary=Y", "multipart/form-data, boundary=X"} {
		f(contentType, whisper)
	}
	long := strings.Repeat("b", 71)
	f("multipart/form-data; boundary="+long, strings.ReplaceAll(whisper, "--X", "--"+long))

	// The form.
	f(formType, "")
	f(formType, "--X")
	f(formType, "--X--")
	f(formType, "--X\r\n")
	f(formType, " "+whisper)
	f(formType, "preamble\r\n"+whisper)
	f(formType, strings.ReplaceAll(whisper, "\r\n", "\n"))
	f(formType, strings.ReplaceAll(whisper, "--X\r", "--X \r"))
	f(formType, strings.ReplaceAll(whisper, "--X--", "--X-"))
	f(formType, "--X\r\n"+model+"\r\n\r\n--X--\r\n")
	f(formType, "--X\r\n"+model+"\r\n\r\nwhisper")
	f(formType, form("", "m"))
	f(formType, form(model+"\r\n folded", "m"))
	f(formType, form(model+"\r\nno header", "m"))
	f(formType, form(model+"\r\nSpace : x", "m"))

	// The part.
	f(formType, form(disposition("x=y"), "m"))
	f(formType, form(disposition(`name="model"; filename="a"`), "m"))
	f(formType, form("Content-Disposition: attachment; name=model", "m"))
	f(formType, form("X-Name: model", "m"))
	f(formType, form(model, strings.Repeat("m", maxModel+1)))
	f(formType, form(model, "\xff"))
	f(formType, form(disposition("name=a"), strings.Repeat("a", maxForm), model, "m"))

	// Parsers differ: which one is it?
	f(formType, form(model, "a", model, "a"))
	f(formType, form(model, "a", disposition(`name="b"; name="model"`), "b"))
	f(formType, form(model, "a", disposition(`name="mod\el"`), "b"))
	f(formType, form(model, "a", disposition(`name*=utf-8''model`), "b"))
	f(formType, form(model, "a", disposition(`name*0="mod"; name*1="el"`), "b"))
	f(formType, form(model, "a", disposition(`name="b"`)+"\r\n"+model, "b"))
	f(formType, form(model, "a", disposition(`name="model`), "b"))
	f(formType, form(model+"; filename*=utf-8''x", "a"))
	f(formType, form(model, "a\r\n--Xb"))
}

// What Go's own writer makes is read.
func TestMultipartWriter(t *testing.T) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	file, err := w.CreateFormFile("file", `the "file".wav`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(make([]byte, 10<<10)); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteField("model", "whisper"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	contentType := []byte(w.FormDataContentType())
	var got []byte
	var ok bool
	if n := testing.AllocsPerRun(100, func() { got, ok = MultipartModel(contentType, b.Bytes()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !ok || string(got) != "whisper" {
		t.Errorf("got %q, %v", got, ok)
	}
}

func TestModelHiddenBehindTheFileIsNotSeen(t *testing.T) {
	const kind = "multipart/form-data; boundary=XX"
	field := func(name, value string) string {
		return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	f := func(want bool, parts ...string) {
		t.Helper()
		form := strings.Join(parts, "") + "--XX--\r\n"
		if got := MultipartSeen([]byte(kind), []byte(form)); got != want {
			t.Errorf("a form of %d bytes: %v, want %v", len(form), got, want)
		}
	}
	audio := field("file", strings.Repeat("x", 100<<10))
	f(true, field("model", "a"), audio)
	f(false, field("model", "a"), audio, field("model", "b"))
	f(true, field("model", "a"), field("model", "b"))
	for n := maxForm - 120; n < maxForm+10; n++ { // wherever the second one lies
		if form := field("model", "a") + field("file", strings.Repeat("x", n)); len(form) >= maxForm {
			f(false, form, field("model", "b"))
		}
	}
}
