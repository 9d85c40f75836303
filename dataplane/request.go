package dataplane

import (
	"encoding/hex"
	"hash/maphash"
	"math/rand/v2"

	"penstock/dataplane/body"
	"penstock/dataplane/http1"
	"penstock/scheduler"
)

// request is one request on its way. It is part of its client and used again
// for the next; its slices point into the client's buffers.
type request struct {
	head   http1.Request
	fields body.Fields
	chunks http1.Chunks // of a body that comes without its length

	headAt   int // where the head begins in the client's buffer
	route    *route
	tunnel   *tunnel // it is the handshake of a WebSocket that passes through
	path     []byte  // to the engine: without the managed service's prefix
	key      *Key    // nil: nobody in particular
	keyIndex int     // 0: no key
	priority int     // larger goes first
	claim    claim
	id       []byte
	idArray  [128]byte

	body   []byte  // whole; in the client's buffer or in hold
	hold   *buffer // pooled memory of a larger body
	held   int64   // what the budget was charged
	unread int64   // bytes of the body that were not read, -1: unknown
	broken bool    // the framing failed: nothing can follow on this connection

	arrived int64 // the first byte, ns on the gateway's clock
	ready   int64 // read whole
	sent    int64 // on its way to the first engine
	pending int64 // ns held

	overhead int64 // ns in the router itself until it was sent

	blocks      blockList // of the prompt
	query       scheduler.Query
	decision    scheduler.Decision
	tries       int // instances that had it
	deaths      int // instances that died while they had it
	blame       blame
	last        *scheduler.Instance // had it last, and failed
	lastErr     error               // by what
	lastFailure scheduler.Failure
	stash       *buffer // an engine's own 502, 503 or 504, for want of a better answer
	stashed     int

	status  int // what the client got
	refused *refusal
	started bool // a byte of an answer went out
	meter   meter
}

// minor is the minor version to answer in.
func (q *request) minor() int {
	if q.head.Minor == 0 && len(q.head.Method) > 0 {
		return 0
	}
	return 1
}

// identify takes the client's X-Request-Id, or makes one.
func (q *request) identify() {
	if id := q.head.Get(http1.XRequestID); validID(id) {
		q.id = q.idArray[:copy(q.idArray[:], id)]
		return
	}
	var raw [16]byte
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		raw[i], raw[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	q.id = q.idArray[:hex.Encode(q.idArray[:], raw[:])]
}

func validID(id []byte) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for _, b := range id {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9',
			b == '.', b == '_', b == ':', b == '-':
		default:
			return false
		}
	}
	return true
}

// expected is the output that the request would have had: what its client asked
// for, as far as the engine could have made it, or else what answers have.
func (q *request) expected() int {
	n := q.query.MaxTokens
	if n < 0 {
		return q.decision.Reservation.Expected()
	}
	if context := q.decision.Instance.Context(); context > 0 {
		return min(n, context)
	}
	return n
}

// gone notes that the client left before its answer was whole.
func (q *request) gone() {
	q.status = 499
	q.refused = &refusal{status: 499, code: "client_gone", reason: reasonClientGone, msg: "the client left"}
}

// release lets go of what only a retry would need: from the first byte of an
// answer on a stream costs its own small buffers and no more. Whatever points into
// a buffer keeps all of it.
func (q *request) release(g *Gateway) {
	if q.held > 0 {
		g.held.give(q.held)
		q.held = 0
	}
	putBuffer(q.hold)
	putBuffer(q.stash)
	q.hold, q.stash, q.body = nil, nil, nil
	q.fields.Model, q.query.Model = nil, ""
}

func (q *request) reset(g *Gateway) {
	q.release(g)
	q.blocks.put()
	q.head.Reset()
	q.id = nil
	q.route, q.key, q.keyIndex, q.path, q.tunnel = nil, nil, 0, nil, nil
	q.priority, q.claim = 0, claim{}
	q.unread, q.broken = 0, false
	q.arrived, q.ready, q.sent, q.pending, q.overhead = 0, 0, 0, 0, 0
	q.query, q.decision = scheduler.Query{}, scheduler.Decision{}
	q.tries, q.deaths, q.stashed, q.last, q.blame = 0, 0, 0, nil, blame{}
	q.status, q.refused, q.started = 0, nil, false
	q.meter = meter{}
}

// session is the client's X-Session-Id as a number, 0 for none.
func (q *request) session() uint64 {
	id := q.head.Get(http1.XSessionID)
	if len(id) == 0 {
		return 0
	}
	return maphash.Bytes(sessionSeed, id) | 1
}

var sessionSeed = maphash.MakeSeed()
