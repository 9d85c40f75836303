package dataplane

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"penstock/dataplane/http1"
)

// keyring knows the clients by the digests of their keys.
type keyring struct {
	byDigest map[[32]byte]*Key
	index    map[*Key]int
}

func newKeyring(keys []Key) *keyring {
	k := &keyring{byDigest: make(map[[32]byte]*Key, len(keys)), index: make(map[*Key]int, len(keys))}
	for i := range keys {
		k.byDigest[keys[i].Digest] = &keys[i]
		k.index[&keys[i]] = i
	}
	return k
}

// open says that nobody needs a key.
func (k *keyring) open() bool { return len(k.byDigest) == 0 }

// find returns the key that an Authorization header shows: "Bearer KEY", or
// the managed service's raw KEY. What is looked up is a digest, so that the
// time it takes says nothing of how much of a guess was right.
func (k *keyring) find(authorization []byte) *Key {
	key := bytes.TrimSpace(authorization)
	if len(key) > 7 && bytes.EqualFold(key[:7], []byte("bearer ")) {
		key = bytes.TrimSpace(key[7:])
	}
	if len(key) == 0 {
		return nil
	}
	digest := sha256.Sum256(key)
	found := k.byDigest[digest]
	if found == nil || subtle.ConstantTimeCompare(found.Digest[:], digest[:]) != 1 {
		return nil
	}
	return found
}

// permits says whether the key may ask for the model. A key for some models
// has to name one: which an engine takes for none, nobody here knows.
func (k *Key) permits(model []byte) bool {
	if !k.limited() {
		return true
	}
	return slices.ContainsFunc(k.Models, func(m string) bool { return m == string(model) })
}

// limited says whether the key is for some models only.
func (k *Key) limited() bool { return k != nil && len(k.Models) > 0 }

// authenticate finds the request's route and key.
func (c *call) authenticate() *refusal {
	q := &c.req
	q.route, q.path = c.g.routes.find(q.head.Path)
	if q.route.kind == routeHealth || c.g.keys.open() {
		return nil
	}
	auth := q.head.Get(http1.Authorization)
	if auth == nil && q.upgrades() {
		auth = q.protocolKey()
	}
	if q.key = c.g.keys.find(auth); q.key == nil {
		msg := "no API key: send it as Authorization: Bearer KEY"
		switch {
		case len(auth) > 0:
			msg = "this API key is not known here"
		case q.upgrades(): // a browser's script can set no header
			msg += `, or, in a browser, as a subprotocol: new WebSocket(url, ["` + bridgeProtocol + `", "` + keyProtocol + `KEY"])`
		}
		return &refusal{status: 401, code: "invalid_api_key", reason: reasonAuth, msg: msg}
	}
	q.keyIndex = 1 + c.g.keys.index[q.key]
	return nil
}

// admit finds the request's route, key and priority, and counts it among the
// key's. It needs the head alone, so that a stranger's body is never read.
func (c *call) admit() *refusal {
	q := &c.req
	if r := c.authenticate(); r != nil {
		return r
	}
	if q.route.label == unrouted.label {
		return &refusal{status: 404, code: "route_not_found", reason: reasonNotFound,
			msg: "this path is not routed (routes.allow adds paths): " + clip(q.head.Path)}
	}
	if q.route.tunnel {
		return &refusal{status: 426, code: "upgrade_required", reason: reasonBadRequest, head: []byte("Upgrade: websocket\r\n"), msg: "this path is a WebSocket"}
	}
	if !q.route.permits(q.head.Method) {
		return &refusal{status: 405, code: "method_not_allowed", reason: reasonBadRequest, allow: q.route.allowed(),
			msg: "this path takes " + q.route.allowed() + ", not " + clip(q.head.Method)}
	}
	if c.g.Draining() && q.route.kind != routeHealth {
		return refuseDraining
	}
	if q.head.ContentLength > c.g.cfg.Limits.BodyBytes {
		return c.tooLarge()
	}
	if q.route.kind == routeHealth {
		return nil
	}
	if r := q.prioritize(); r != nil {
		return r
	}
	return c.enter()
}

// clip makes foreign bytes fit for a message.
func clip(b []byte) string {
	const most = 64
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
