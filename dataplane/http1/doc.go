// Package http1 reads the heads of HTTP/1.1 requests and answers and the chunks
// of their bodies, where they lie, and refuses whatever two readers could
// understand differently (RFC 9112, strictly).
//
// It owns the grammar: where a head ends, what its lines mean, how a body is
// framed, which headers end at this hop. The bytes are hostile: work is linear
// in their number however they trickle in, headers, options, chunk extensions
// and trailers are bounded, and nothing is allocated but a connection's list of
// headers, once, and errors.
//
// Everything found is a slice of the caller's buffer and lives as long as the
// bytes in it stay. A Request, a Response or a Chunks belongs to one goroutine
// at a time. The package does no I/O, bounds no head (its caller's buffer
// does), changes no byte, and judges neither paths nor methods nor bodies.
package http1
