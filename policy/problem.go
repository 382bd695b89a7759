package policy

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Problem is the body of a refusal (RFC 9457). It tells the reason, and never why a
// credential failed.
type Problem struct {
	Type      string `json:"type"` // urn:stile:<reason>
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// WriteRefusal answers a client that was refused, with the headers that belong to the
// reason. Status and body are the true ones; a dialect that cannot carry them has its own
// way.
func (d *Decision) WriteRefusal(w http.ResponseWriter) {
	reason := d.Reason
	if reason == OK { // an allowed decision is not to be given here; it must not become a 200
		reason = Unavailable
	}
	d.RefusalHeaders(w.Header())
	Problem{
		Type: "urn:stile:" + reason.String(), Title: reason.Title(), Status: reason.Status(),
		Detail: d.clientDetail(), RequestID: d.RequestID,
	}.Write(w)
}

// clientDetail is what the client may know beyond the title: what to mend in a request
// that is malformed, never anything about a credential.
func (d *Decision) clientDetail() string {
	if d.Reason == BadRequest && d.Err != nil {
		return d.Err.Error()
	}
	return ""
}

// RefusalHeaders sets what goes with a refusal besides status and body.
func (d *Decision) RefusalHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set(HeaderRequestID, d.RequestID)
	if len(d.Challenges) > 0 && (d.Reason.Status() == http.StatusUnauthorized || d.Reason == MissingScope) {
		h["Www-Authenticate"] = d.Challenges
	}
	d.SetLimitFields(h)
	if wait := d.retryAfter(); wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(wait, 10))
	}
}

// Write sends the problem with its status.
func (p Problem) Write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // cannot be: strings and a number
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
