package policy

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
)

// Request is one client request, whichever way it reached us. Read only.
type Request struct {
	Edge     string // which skin it came by, for metrics and the log
	ID       string
	Method   string
	Scheme   string // http or https
	Host     string // lower case, without the port
	Port     uint16 // 0 when none was given
	Path     string // canonical
	RawQuery string
	Header   http.Header
	ClientIP netip.Addr

	raw     string // the request target as it came, for the log of a refusal
	target  target
	wasRead bool  // NewRequest brought it into its form; no literal has that
	fault   error // why it cannot be judged
}

// Wire is what a skin read of a client request, not yet judged.
type Wire struct {
	Edge     string
	Method   string
	Scheme   string // http, https, ws or wss
	Host     string // as in a Host header
	Target   string // origin-form: path and query
	Header   http.Header
	ClientIP netip.Addr
}

// NewRequest brings what a skin read into the one form that is judged. One that is
// malformed is a Request too, which Decide refuses, so that it is counted and logged
// like any other.
func NewRequest(w Wire) *Request {
	r := &Request{Edge: w.Edge, Method: clip(w.Method), Header: w.Header, ClientIP: w.ClientIP, raw: w.Target}
	r.ID = requestID(w.Header)
	r.fault = r.read(w)
	return r
}

// Unreadable is a request of which not even the parts could be read.
func Unreadable(edge string, header http.Header, fault error) *Request {
	return &Request{Edge: edge, ID: requestID(header), Header: header, fault: fault}
}

func (r *Request) read(w Wire) (err error) {
	switch w.Scheme {
	case "http", "ws":
		r.Scheme = "http"
	case "https", "wss":
		r.Scheme = "https"
	default:
		return fmt.Errorf("scheme %q is not http or https", clip(w.Scheme))
	}
	if !isToken(w.Method) {
		return errors.New("method is not a token")
	}
	if !w.ClientIP.IsValid() {
		return errors.New("client address is not known")
	}
	if r.Host, r.Port, err = parseHost(w.Host); err != nil {
		return err
	}
	if r.target, err = parseTarget(w.Target); err != nil {
		return err
	}
	r.Path, r.RawQuery, r.wasRead = r.target.path, r.target.query, true
	return nil
}

// RawPath is the path as it came, clipped, for the log: a request that was refused has
// no other.
func (r *Request) RawPath() string { return clip(cutAt(r.raw, "?")) }

// requestID keeps a client's X-Request-Id when it is short and plain, else makes one.
func requestID(h http.Header) string {
	if values := h[HeaderRequestID]; len(values) == 1 && isPlainID(values[0]) {
		return values[0]
	}
	var id [16]byte // it only has to be unlikely to repeat
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	var text [2 * len(id)]byte
	hex.Encode(text[:], id[:])
	return string(text[:])
}

func isPlainID(s string) bool {
	for i := range len(s) {
		if class[s[i]]&unreserved == 0 || s[i] == '_' { // an API key has one, an id need not
			return false
		}
	}
	return s != "" && len(s) <= 64
}
