package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
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
	w := new(bufferedResponse)
	p.handler.ServeHTTP(w, &own)
	w.WriteHeader(http.StatusOK) // for a handler that wrote nothing, as net/http does
	if err := own.Body.Close(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.Header(),
		Body: io.NopCloser(bytes.NewReader(w.body.Bytes())), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// bufferedResponse is the whole response of a handler, before anything of it is
// sent.
type bufferedResponse struct {
	header http.Header
	status int // 0 = not written yet
	body   bytes.Buffer
}

func (b *bufferedResponse) Header() http.Header {
	if b.header == nil {
		b.header = make(http.Header)
	}
	return b.header
}

func (b *bufferedResponse) WriteHeader(status int) {
	if b.status == 0 {
		b.status = status
	}
}

func (b *bufferedResponse) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

func (b *bufferedResponse) sendHeader(w http.ResponseWriter) {
	for key, values := range b.Header() {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(b.body.Len()))
	w.WriteHeader(b.status)
}

func (b *bufferedResponse) send(w http.ResponseWriter) {
	b.sendHeader(w)
	_, _ = w.Write(b.body.Bytes())
}
