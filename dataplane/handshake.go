package dataplane

import (
	"crypto/sha1"
	"encoding/base64"
	"strings"

	"penstock/dataplane/http1"
)

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
