package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// adminAPI asks the admin port of a router.
type adminAPI struct {
	base  string // scheme://host:port
	token string // "": none
	most  int64  // bytes of an answer; 0: maxAnswer
	http  http.Client
}

// adminBase checks the value of --scheduler, or of the flag that is called so,
// and returns scheme://host:port.
func adminBase(s string, flag ...string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--%s: %q: need a URL such as http://10.0.0.2:8081", append(flag, "scheduler")[0], s)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// refusedError is the router's no.
type refusedError struct {
	status  int
	message string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the scheduler refuses (%d): %s", e.status, e.message)
}

const maxAnswer = 64 << 10

// call asks once; headers alternate names and values. The error of an answer of
// 300 and above is a *refusedError.
func (a *adminAPI) call(ctx context.Context, method, path string, body []byte, headers ...string) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return 0, nil, plainNetwork(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, cmp.Or(a.most, maxAnswer))); err != nil {
		return 0, nil, err
	}
	if resp.StatusCode < 300 {
		return resp.StatusCode, answer, nil
	}
	no := &refusedError{resp.StatusCode, said(answer)}
	if isElsewhere(resp) {
		no.message = a.base + " is no admin port: need the router's `admin:`, such as http://10.0.0.2:8081"
	}
	return resp.StatusCode, nil, no
}

// isElsewhere says whether something else than an admin port answered: the data
// port, or another program. The admin port's own 401, 404 and 405 have these codes.
func isElsewhere(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed:
		return !slices.Contains([]string{"invalid_token", "registration_off", "instance_not_found"}, resp.Header.Get("X-Penstock-Error"))
	}
	return false
}

// plainNetwork leaves out what the caller has said: method and URL.
func plainNetwork(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// unreached says what to do where no router listens, if that is what err is of.
func (a *adminAPI) unreached(err error, flag string) error {
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" {
		return err
	}
	return fmt.Errorf("no router at %s (%w): is penstock serve running there? --%s URL names the admin port of another", a.base, dial.Unwrap(), flag)
}

// said is the sentence in an error's body, without what a terminal would obey:
// anything may listen there.
func said(body []byte) string {
	var e struct{ Error struct{ Message string } }
	text := strings.TrimSpace(string(body[:min(len(body), 200)]))
	if json.Unmarshal(body, &e) == nil && e.Error.Message != "" {
		text = e.Error.Message
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}
