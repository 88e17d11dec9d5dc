package sandbox

import (
	"bytes"
	"io"
	"net/http"
)

// Transport answers requests in this process, wherever they were meant to go:
// there is no socket, and so no way out.
func (s *Sandbox) Transport() http.RoundTripper { return inProcess{s.handler} }

type inProcess struct{ handler http.Handler }

// RoundTrip hands the request to the handler.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	own := *r // a transport must not change what it is given
	if own.Body == nil {
		own.Body = http.NoBody
	}
	w := &collected{header: http.Header{}, status: http.StatusOK}
	p.handler.ServeHTTP(w, &own)
	if err := own.Body.Close(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
		Body: io.NopCloser(bytes.NewReader(w.body.Bytes())), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// collected is an answer on its way.
type collected struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (c *collected) Header() http.Header { return c.header }

func (c *collected) WriteHeader(status int) {
	if !c.wrote {
		c.status, c.wrote = status, true
	}
}

func (c *collected) Write(p []byte) (int, error) {
	c.wrote = true
	return c.body.Write(p)
}
