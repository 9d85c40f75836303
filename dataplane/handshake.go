package dataplane

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"strings"

	"penstock/dataplane/http1"
)

// nameModel takes a handshake's model from its query: ?model=NAME, once, for
// engines differ in which of two they take.
func (q *request) nameModel() *refusal {
	all, err := url.ParseQuery(string(q.head.Query))
	models := all["model"]
	switch {
	case len(models) > 1:
		return badRequest("model", "?model= stands in the query more than once")
	case err != nil && q.key.limited(): // engines may read it otherwise
		return badRequest("", "the query cannot be read, and this API key may use some models only: "+err.Error())
	case len(models) == 1 && models[0] != "":
		q.fields.Model, q.fields.HasModel = []byte(models[0]), true
	}
	if q.key.permits(q.fields.Model) {
		return nil
	}
	msg := "this API key may not use the model `" + clip(q.fields.Model) + "`: name another, as ?model=NAME"
	if len(models) == 0 {
		msg = "this API key may use some models only: name one, as ?model=NAME"
	}
	return &refusal{status: 403, code: "model_not_allowed", reason: reasonForbidden, param: "model", msg: msg}
}

// appendUpgrade is what makes a request to an instance a handshake: the client's
// own, without what its list of protocols has for the router.
func (q *request) appendUpgrade(dst []byte) []byte {
	var protocols [][]byte
	for p := range listed(q.head.Headers, http1.SecWebSocketProtocol) {
		if _, isKey := cutKey(p); !isKey && len(p) > 0 && string(p) != bridgeProtocol {
			protocols = append(protocols, p)
		}
	}
	if len(protocols) > 0 {
		dst = http1.AppendHeader(dst, []byte("Sec-WebSocket-Protocol"), bytes.Join(protocols, []byte(", ")))
	}
	return append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
}

// accepts says whether an instance's 101 is the answer to the client's handshake
// (RFC 6455, 4.1): from one that is not, no frame can be believed.
func (q *request) accepts(head *http1.Response) error {
	if q.tunnel == nil {
		return errInterim
	}
	wanted, found := challengeAnswer(q.head.Get(http1.SecWebSocketKey)), 0
	for i := range head.Headers {
		h := &head.Headers[i]
		if !strings.EqualFold(string(h.Name), "Sec-WebSocket-Accept") {
			continue
		}
		if found++; found > 1 || string(h.Value) != wanted {
			return &http1.Error{Msg: "its 101 has a wrong Sec-WebSocket-Accept"}
		}
	}
	switch {
	case found == 0:
		return &http1.Error{Msg: "its 101 has no Sec-WebSocket-Accept"}
	case !lists(head.Headers, http1.Upgrade, "websocket"), !lists(head.Headers, http1.Connection, "upgrade"):
		return &http1.Error{Msg: "its 101 does not say Connection: Upgrade and Upgrade: websocket"}
	}
	return nil
}

// challengeAnswer is what who speaks WebSocket makes of a handshake's key.
func challengeAnswer(key []byte) string {
	const fixed = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum(append(append([]byte{}, key...), fixed...))
	return base64.StdEncoding.EncodeToString(sum[:])
}
