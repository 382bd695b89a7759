package authsvc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// maxBody bounds what an administrator can send at once.
const maxBody = 64 << 10

// page bounds a listing; the next begins after the last id of this one.
const (
	defaultPage = 100
	maxPage     = 1000
)

// none is the body of a call that has no input or no output.
type none struct{}

// callError is a failure that is the caller's, with what to change.
type callError struct {
	status int
	detail string
}

func (e *callError) Error() string { return e.detail }

func badCall(format string, args ...any) error {
	return &callError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// notTaken is for a body that cannot be read.
func notTaken(why error) error { return badCall("the body is not what this call takes: %v", why) }

// handle mounts one call. Decoding, the mapping of errors and encoding happen here and
// nowhere else, so that a call is only what it does.
func handle[In, Out any](a *Admin, mux *http.ServeMux, pattern string, call func(context.Context, *http.Request, In) (Out, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var in In
		var out Out
		err := a.decode(r, &in)
		if err == nil {
			out, err = audited(a, r, in, call)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if hasNoContent(out) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		status := http.StatusOK
		if r.Method == http.MethodPost && r.URL.Path != "/v1/explain" && r.URL.Path != "/v1/import" {
			status = http.StatusCreated
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
	})
}

// hasNoContent is for calls that never answer with anything, or have nothing to say.
func hasNoContent(out any) bool {
	switch out := out.(type) {
	case none:
		return true
	case *applied:
		return out == nil
	}
	return false
}

// decode reads what a call takes: nothing, the lines of an import, or one JSON document.
func (a *Admin) decode(r *http.Request, in any) error {
	switch in := in.(type) {
	case *none:
		return nil
	case *importInput:
		return in.read(r)
	}
	body, err := readBody(r, "application/json", maxBody)
	if err != nil {
		return err
	}
	return a.parse(body, in)
}

// readBody reads a body of a type, and up to a size.
func readBody(r *http.Request, kind string, most int) ([]byte, error) {
	if sent, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || sent != kind {
		return nil, &callError{http.StatusUnsupportedMediaType, "send Content-Type: " + kind}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(most)+1))
	if err != nil {
		return nil, badCall("the body could not be read")
	}
	return body, checkSize(body, most)
}

func checkSize(body []byte, most int) error {
	if len(body) > most {
		return &callError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", most)}
	}
	return nil
}

// parse reads exactly one JSON document with known fields.
func (a *Admin) parse(body []byte, in any) error {
	if err := a.checkBody(body, in); err != nil {
		return notTaken(err)
	}
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) { // which would decode to an object with nothing in it
		return badCall("the body is not what this call takes: null")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return notTaken(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badCall("the body holds more than one JSON document")
	}
	return nil
}

// fail answers with what the caller can mend; a failure of ours is 503, its text in the
// log alone. Neither shows a key, whatever the caller has put where.
func (a *Admin) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, title, detail := a.refusal(err)
	if status == 0 {
		a.Log.ErrorContext(r.Context(), "admin call failed", "call", r.Pattern, "error", a.withoutID(r, err))
		w.Header().Set("Retry-After", "1")
		status, title = http.StatusServiceUnavailable, "The store cannot be reached now"
	}
	fail(w, status, title, detail)
}

// refusal is what the caller hears of an error; status 0 for a failure of ours.
func (a *Admin) refusal(err error) (status int, title, detail string) {
	var call *callError
	var invalid *store.InvalidError
	switch {
	case errors.As(err, &call):
		return call.status, "The call cannot be carried out", a.Format.MaskPath(call.detail)
	case errors.As(err, &invalid):
		return http.StatusBadRequest, "A value is not valid", a.Format.MaskPath(invalid.Error())
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, "There is no such thing", a.Format.MaskPath(err.Error())
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrConflict):
		return http.StatusConflict, "It is there already, or was changed since", a.Format.MaskPath(err.Error())
	}
	return 0, "", ""
}

func fail(w http.ResponseWriter, status int, title, detail string) {
	policy.Problem{Type: "about:blank", Title: title, Status: status, Detail: detail}.Write(w)
}

// pathID is the id that a call's path names.
func (a *Admin) pathID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	return id, a.checkID("the path", id)
}

// checkID checks what stands where an id is asked. A key is told from others, since people
// take it for its id, and is not repeated.
func (a *Admin) checkID(where, text string) error {
	if keyID, err := a.Format.Parse(text); err == nil {
		return badCall("%s: that is a whole key; give its id, which is %s", where, keyID)
	}
	if a.Format.CheckPlain(text) != nil {
		return badCall("%s: that is a key; give its id", where)
	}
	if err := policy.CheckID(text); err != nil {
		return badCall("%s: %v", where, err)
	}
	return nil
}

// paging reads ?after=, the id that the last page ended with, and ?limit=.
func (a *Admin) paging(r *http.Request) (after string, limit int, err error) {
	query := r.URL.Query()
	limit = defaultPage
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return "", 0, badCall("limit is a number from 1 to %d", maxPage)
		}
	}
	after = query.Get("after")
	if after != "" {
		err = a.checkID("after", after)
	}
	return after, limit, err
}
