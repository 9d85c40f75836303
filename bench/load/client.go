package load

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// maxAnswer bounds an answer that is no stream.
const maxAnswer = 64 << 20

// headBytes bounds an answer's head, and is each connection's read buffer.
const headBytes = 8 << 10

// client is the endpoint as all workers share it: its pool of connections.
type client struct {
	target target
	dialer *dialer
	http   *fasthttp.HostClient
}

func newClient(t target) *client {
	c := &client{target: t, dialer: newDialer()}
	c.http = &fasthttp.HostClient{
		Addr:                          t.addr,
		IsTLS:                         t.tls,
		TLSConfig:                     tlsConfig(t),
		Dial:                          c.dialer.dial,
		Name:                          "penstock-bench",
		MaxConns:                      math.MaxInt32, // as many as there are workers
		MaxIdleConnDuration:           time.Minute,   // conn looks whether the server kept it
		ReadBufferSize:                headBytes,
		StreamResponseBody:            true,
		DisableHeaderNamesNormalizing: true, // nothing but our own and a few known ones
		DisablePathNormalizing:        true,
		// Only a request that was not sent: a retry would hide what is measured.
		MaxIdemponentCallAttempts: math.MaxInt32,
		RetryIfErr: func(_ *fasthttp.Request, _ int, err error) (resetTimeout, retry bool) {
			return false, errors.Is(err, errStale)
		},
	}
	return c
}

func tlsConfig(t target) *tls.Config {
	if !t.tls {
		return nil
	}
	name, _, _ := net.SplitHostPort(t.addr)
	return &tls.Config{ServerName: name}
}

// close ends everything that is under way. Any goroutine may call it.
func (c *client) close() { c.dialer.close() }

// prepare sets what does not change from request to request.
func (c *client) prepare(req *fasthttp.Request, method, path string, timeout time.Duration) {
	req.Header.SetMethod(method)
	req.SetRequestURI(c.target.url(path))
	req.SetTimeout(timeout)
}

// signed names the client that asks; "": none.
func signed(req *fasthttp.Request, key string) {
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
}

// firstModel asks the endpoint what it serves and returns the first.
func (c *client) firstModel(ctx context.Context, key string, timeout time.Duration) (string, error) {
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	c.prepare(req, "GET", "/v1/models", timeout)
	signed(req, key)
	err := c.http.Do(req, resp)
	var body []byte
	if err == nil {
		body, err = readWhole(resp, nil)
		_ = resp.CloseBodyStream()
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	switch {
	case err != nil:
		err = errors.New(plain(err.Error()))
	case resp.StatusCode() != fasthttp.StatusOK:
		err = fmt.Errorf("status %d", resp.StatusCode())
	case json.Unmarshal(body, &list) != nil:
		err = errors.New("the answer is no list of models")
	case len(list.Data) == 0 || list.Data[0].ID == "":
		err = errors.New("the list is empty")
	default:
		return list.Data[0].ID, nil
	}
	return "", fmt.Errorf("model: none given, and asking %s for one: %w", c.target.url("/v1/models"), err)
}

// readWhole appends an answer's body to dst.
func readWhole(resp *fasthttp.Response, dst []byte) ([]byte, error) {
	body := resp.BodyStream()
	if body == nil {
		return dst, nil
	}
	for len(dst) <= maxAnswer {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
}
