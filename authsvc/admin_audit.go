package authsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// AuditBooks keeps who changed what. Entries are never changed.
type AuditBooks interface {
	AppendAudit(context.Context, store.AuditRecord) (store.AuditEntry, error)
	AuditEntries(ctx context.Context, after int64, limit int) ([]store.AuditEntry, error)
	AuditHead(context.Context) (store.AuditHead, error)
}

// outcomeTime is how long the second entry may take, whoever still waits for the answer.
const outcomeTime = 5 * time.Second

// recorded is an input or an output that says what a call is done to.
type recorded interface {
	// record answers an id, "" when there is none yet, and the consumer whose that is, "" for
	// none or itself.
	record() (object, consumer string)
}

// summarized is an input or an output that is too much for an entry.
type summarized interface{ summary() string }

func (in consumerInput) record() (object, consumer string) { return in.ID, "" }
func (in keyInput) record() (object, consumer string)      { return in.ID, in.Consumer }
func (out keyCreated) record() (object, consumer string)   { return out.ID, out.Consumer }
func (in tokenInput) record() (object, consumer string)    { return in.revocation().Name(), "" }

// audited carries out a call. One that changes something has two entries in the audit: an
// attempt, without which nothing is done, and then what came of it. A single entry would
// have to be written either before, and say what did not happen, or after, and be missing
// when this process or the store ends in between: so an attempt without an outcome is the
// trace of a change that may have been made. Calls without the token leave no entry, or
// strangers could make the audit grow.
func audited[In, Out any](a *Admin, r *http.Request, in In, call func(context.Context, *http.Request, In) (Out, error)) (out Out, err error) {
	action := actionOf(r)
	if action == "" {
		return call(r.Context(), r, in)
	}
	if a.Audit == nil {
		return out, errors.New("nothing is changed without an audit")
	}
	rec := store.AuditRecord{Actor: a.actor(r), Action: action, Outcome: "attempt"}
	a.describe(r.Context(), &rec, in)
	named := a.pathObject(r) // before it is gone
	if named != "" {
		rec.Object = named
	}
	rec.Detail = joined(rec.Detail, fieldsOf(in))
	attempt, err := a.Audit.AppendAudit(r.Context(), rec)
	if err != nil {
		return out, fmt.Errorf("nothing was changed, for the audit cannot be written: %s", err) //nolint:errorlint // whatever it was, a failure of ours
	}
	out, err = call(r.Context(), r, in)
	rec.Outcome, rec.Detail = outcomeOf(err), ""
	if err == nil {
		a.describe(r.Context(), &rec, out)
	}
	if named != "" && rec.Object != named { // a rotation
		rec.Object, rec.Detail = named, joined("made "+rec.Object, rec.Detail)
	}
	rec.Detail = joined(fmt.Sprintf("attempt %d", attempt.Seq), rec.Detail)
	a.note(r, rec)
	return out, err
}

// note writes an outcome. When that fails the change stands all the same, and so does its
// attempt: the caller has to hear what was done, or would do it again.
func (a *Admin) note(r *http.Request, rec store.AuditRecord) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), outcomeTime)
	defer cancel()
	if _, err := a.Audit.AppendAudit(ctx, rec); err != nil {
		a.Log.ErrorContext(ctx, "an outcome is missing in the audit", "actor", rec.Actor, "action", rec.Action,
			"object", rec.Object, "outcome", rec.Outcome, "detail", rec.Detail, "error", err.Error())
	}
}

// actionOf names what a call changes: "key.create", "consumer.update", "key.rotate"; "" for
// one that only reads. A new call is named by its pattern, so none can be forgotten.
func actionOf(r *http.Request) string {
	method, path, _ := strings.Cut(r.Pattern, " ")
	switch {
	case method == http.MethodGet, r.Pattern == "POST /v1/explain": // a dry run
		return ""
	case r.Pattern == "DELETE /v1/keys/{id}":
		return "key.revoke"
	case r.Pattern == "POST /v1/import":
		return "import"
	}
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	noun, last := strings.TrimSuffix(parts[0], "s"), parts[len(parts)-1]
	if len(parts) > 1 && !strings.HasPrefix(last, "{") {
		return noun + "." + last
	}
	verb, ok := map[string]string{
		http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "update", http.MethodDelete: "delete",
	}[method]
	if !ok {
		verb = strings.ToLower(method)
	}
	return noun + "." + verb
}

// actor is who calls: which admin token, by the beginning of its hash, and from where.
func (a *Admin) actor(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := HashToken(policy.NewSecret(token))
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	return fmt.Sprintf("token:%x %s", hash[:4], peer)
}

func (a *Admin) describe(ctx context.Context, rec *store.AuditRecord, value any) {
	if s, ok := value.(summarized); ok {
		rec.Detail = s.summary()
	}
	v, ok := value.(recorded)
	if !ok {
		return
	}
	object, consumer := v.record()
	if object != "" {
		rec.Object = a.plainID(object)
	}
	if consumer != "" {
		rec.Detail = "consumer " + a.reference(ctx, "consumer", consumer)
	}
}

// fieldsOf names what an input says, and nothing of what it says.
func fieldsOf(in any) string {
	text, err := json.Marshal(in)
	var fields map[string]json.RawMessage
	if err != nil || json.Unmarshal(text, &fields) != nil || len(fields) == 0 {
		return ""
	}
	return "sets " + strings.Join(slices.Sorted(maps.Keys(fields)), " ")
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

// outcomeOf tells a call that could not be carried out from a failure of ours, after which
// the change may have been made or not.
func outcomeOf(err error) string {
	var call *callError
	var invalid *store.InvalidError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &call) && call.status >= http.StatusInternalServerError:
		return "failed"
	case call != nil, errors.As(err, &invalid), errors.Is(err, store.ErrNotFound),
		errors.Is(err, store.ErrExists), errors.Is(err, store.ErrConflict):
		return "refused"
	}
	return "failed"
}
