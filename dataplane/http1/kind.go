package http1

// Kind is a header that the way of a request knows by name.
type Kind uint8

// The headers that are known. Other is every other header.
const (
	Other Kind = iota
	Authorization
	Connection
	ContentEncoding
	ContentLength
	ContentType
	Expect
	Host
	KeepAlive
	Origin
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	SecWebSocketExtensions
	SecWebSocketKey
	SecWebSocketProtocol
	SecWebSocketVersion
	TE
	Trailer
	TransferEncoding
	Upgrade
	XAPIKey
	XForwardedFor
	XForwardedProto
	XPenstockExplain
	XPenstockPriority
	XRequestID
	XSessionID
	kinds
)

// kindNames are in lower case.
var kindNames = [kinds]string{
	Authorization:          "authorization",
	Connection:             "connection",
	ContentEncoding:        "content-encoding",
	ContentLength:          "content-length",
	ContentType:            "content-type",
	Expect:                 "expect",
	Host:                   "host",
	KeepAlive:              "keep-alive",
	Origin:                 "origin",
	SecWebSocketExtensions: "sec-websocket-extensions",
	SecWebSocketKey:        "sec-websocket-key",
	SecWebSocketProtocol:   "sec-websocket-protocol",
	SecWebSocketVersion:    "sec-websocket-version",
	ProxyAuthenticate:      "proxy-authenticate",
	ProxyAuthorization:     "proxy-authorization",
	ProxyConnection:        "proxy-connection",
	TE:                     "te",
	Trailer:                "trailer",
	TransferEncoding:       "transfer-encoding",
	Upgrade:                "upgrade",
	XAPIKey:                "x-api-key",
	XForwardedFor:          "x-forwarded-for",
	XForwardedProto:        "x-forwarded-proto",
	XPenstockExplain:       "x-penstock-explain",
	XPenstockPriority:      "x-penstock-priority",
	XRequestID:             "x-request-id",
	XSessionID:             "x-session-id",
}

// kindsOf lists the kinds by the length of their names: three at most.
var kindsOf = func() (of [25][]Kind) {
	for k := Authorization; k < kinds; k++ {
		n := len(kindNames[k])
		of[n] = append(of[n], k)
	}
	return of
}()

// kindOf is the kind of a header's name, in any case.
func kindOf(name []byte) Kind {
	if len(name) < len(kindsOf) {
		for _, k := range kindsOf[len(name)] {
			if foldIs(name, kindNames[k]) {
				return k
			}
		}
	}
	return Other
}

// kindSet is a set of kinds.
type kindSet uint32

func setOf(list ...Kind) (s kindSet) {
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

func (s kindSet) has(k Kind) bool { return s&(1<<k) != 0 }

var (
	// once are the headers that may not stand twice, not with equal values either:
	// readers differ in which one counts.
	once = setOf(ContentLength, Host, TransferEncoding)
	// hops end at this hop whether or not Connection names them (RFC 9110, 7.6.1).
	hops = setOf(Connection, KeepAlive, ProxyAuthenticate, ProxyAuthorization, ProxyConnection,
		TE, Trailer, TransferEncoding, Upgrade)
	// ends never do: naming one in Connection must not take the framing away
	// from a message that goes on.
	ends = setOf(ContentLength, Host)
)
