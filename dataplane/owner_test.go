package dataplane

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"penstock/scheduler"
)

// keeps is an engine that stores responses, as vLLM does, in its own memory.
func keeps(name string) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Method == "POST" {
			n++
			fmt.Fprintf(w, `{"id": "resp_%s%d", "after": %t}`, name, n, strings.Contains(string(b), "resp_"+name))
			return
		}
		if !strings.Contains(r.URL.Path, "resp_"+name) {
			w.WriteHeader(404)
			return
		}
		io.WriteString(w, "kept by "+name)
	}
}

func TestStoredResponseIsAskedOfWhoMadeIt(t *testing.T) {
	r := start(t, instances(newEngine(t, keeps("a")).url, newEngine(t, keeps("b")).url), nil)
	call := func(method, path, body string) (*http.Response, string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.send("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
		return p.whole()
	}
	for range 4 {
		_, made := call("POST", "/v1/responses", `{"model":"m","input":"hello"}`)
		id := strings.Split(made, `"`)[3]
		for range 3 {
			if resp, body := call("GET", "/v1/responses/"+id, ""); resp.StatusCode != 200 || body != "kept by "+id[5:6] {
				t.Fatalf("%s: %d %q", id, resp.StatusCode, body)
			}
			if _, body := call("POST", "/v1/responses", `{"model":"m","previous_response_id": "`+id+`","input":"and then?"}`); !strings.Contains(body, `"after": true`) {
				t.Fatalf("what follows %s went to another: %s", id, body)
			}
		}
	}
	if resp, _ := call("GET", "/v1/responses/resp_x", ""); resp.StatusCode != 404 {
		t.Errorf("an unknown response: %d", resp.StatusCode)
	}
}

func TestRememberedResponsesAreBounded(t *testing.T) {
	o, i := newOwners(), &scheduler.Instance{}
	for n := range 3 * ownersMost {
		o.add([]byte(strconv.Itoa(n)), i)
	}
	if n := len(o.new) + len(o.old); n > 2*ownersMost {
		t.Errorf("%d are remembered", n)
	}
	if o.find([]byte(strconv.Itoa(3*ownersMost-1))) != i || o.find([]byte("0")) != nil {
		t.Error("the latest are not the ones that are kept")
	}
}
