package authsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// auditedCalls serves the API over an audit that can fail, and shows its lines.
func auditedCalls(t *testing.T, change func(*Admin)) (*administration, *failingAudit) {
	memory := store.NewMemory()
	memory.Now = clock
	audit := &failingAudit{Memory: memory, fails: func(store.AuditRecord) bool { return false }}
	return administrate(t, func(api *Admin) {
		api.Audit = audit
		if change != nil {
			change(api)
		}
	}), audit
}

// failingAudit fails for some records.
type failingAudit struct {
	*store.Memory
	fails func(store.AuditRecord) bool
}

func (f *failingAudit) AppendAudit(ctx context.Context, r store.AuditRecord) (store.AuditEntry, error) {
	if f.fails(r) {
		return store.AuditEntry{}, fmt.Errorf("read-only replica: %w", store.ErrConflict)
	}
	return f.Memory.AppendAudit(ctx, r)
}

// lines are the entries after a seq without times and hashes, and hold one unbroken chain.
func (f *failingAudit) lines(t *testing.T, after int) (lines []string) {
	t.Helper()
	entries, err := f.AuditEntries(t.Context(), 0, 1000)
	head, headErr := f.AuditHead(t.Context())
	if err := errors.Join(err, headErr, store.VerifyAudit(entries, head)); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries[after:] {
		lines = append(lines, fmt.Sprintf("%d %s %s %s %s", e.Seq, e.Action, e.Object, e.Outcome, e.Detail))
	}
	return lines
}

func TestEveryChangeIsInTheAuditTwice(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	var keyID string
	seq := 0
	for _, tt := range []struct{ line, body, attempt, outcome string }{
		{"POST /v1/consumers", `{"id":"acme","username":"Acme Ltd","groups":["partners"]}`, "consumer.create acme attempt sets groups id username", "consumer.create acme done attempt %d"},
		{"POST /v1/consumers", `{"id":"acme"}`, "consumer.create acme attempt sets id", "consumer.create acme refused attempt %d"},
		{"PUT /v1/consumers/acme", `{"id":"acme","username":"Acme","groups":["staff"]}`, "consumer.update acme attempt sets groups id username", "consumer.update acme done attempt %d"},
		{"POST /v1/keys", `{"consumer":"acme","name":"laptop"}`, "key.create  attempt consumer acme; sets consumer name", "key.create @ done attempt %d; consumer acme"},
		{"DELETE /v1/keys/@", "", "key.revoke @ attempt ", "key.revoke @ done attempt %d"},
		{"DELETE /v1/keys/@", "", "key.revoke @ attempt ", "key.revoke @ refused attempt %d"},
		{"DELETE /v1/consumers/acme", "", "consumer.delete acme attempt ", "consumer.delete acme done attempt %d"},
		{"POST /v1/tokens/revoke", `{"issuer":"` + issuer + `","jti":"t1"}`, "token.revoke # attempt sets issuer jti", "token.revoke # done attempt %d"},
	} {
		resp := a.call(t, strings.ReplaceAll(tt.line, "@", keyID), tt.body)
		if tt.line == "POST /v1/keys" {
			var made struct{ ID string }
			_ = json.Unmarshal([]byte(resp.Body), &made)
			keyID = made.ID
		}
		fill := strings.NewReplacer("@", keyID, "#", store.Revocation{Issuer: issuer, JTI: "t1"}.Name())
		want := fmt.Sprintf("%d %s\n%d "+tt.outcome, seq+1, tt.attempt, seq+2, seq+1)
		if got := strings.Join(audit.lines(t, seq), "\n"); got != fill.Replace(want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.line, got, fill.Replace(want))
		}
		seq += 2
	}
	for line, body := range everyCall() { // what only reads leaves nothing
		if strings.HasPrefix(line, "GET ") || strings.HasSuffix(line, "explain") {
			a.call(t, line, body)
		}
	}
	for _, line := range []string{"POST /v1/consumers", "DELETE /v1/consumers/acme"} { // nor does a stranger
		a.raw(t, line, `{"id":"x"}`, "Content-Type: application/json")
	}
	if got := audit.lines(t, seq); len(got) != 0 {
		t.Errorf("further entries:\n%s", strings.Join(got, "\n"))
	}
	entries, _ := audit.AuditEntries(t.Context(), 0, 1)
	hash := HashToken(policy.NewSecret(adminToken))
	if want := fmt.Sprintf("token:%x 127.0.0.1", hash[:4]); entries[0].Actor != want {
		t.Errorf("actor %q, want %q", entries[0].Actor, want)
	}
}

// No secret gets into the audit, wherever a caller puts it.
func TestNoSecretIsInTheAudit(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	_, key := policy.KeyFormat{}.New()
	text := key.Reveal()
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIn0." + strings.Repeat("c2lnbmF0dXJl", 10)
	for _, secret := range []string{text, jwt} {
		a.call(t, "DELETE /v1/keys/"+secret, "")
		a.call(t, "PUT /v1/consumers/"+secret, `{"username":"`+secret+`"}`)
		a.call(t, "POST /v1/consumers", `{"id":"`+secret+`","username":"`+secret+`","groups":["`+secret+`"]}`)
		a.call(t, "POST /v1/keys", `{"consumer":"`+secret+`","name":"`+secret+`"}`)
		a.call(t, "POST /v1/tokens/revoke", `{"issuer":"`+secret+`","jti":"`+secret+`"}`)
		a.call(t, "POST /v1/tokens/revoke", `{"issuer":"`+issuer+`","session":"`+secret+`"}`)
	}
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)
	told := strings.Join(audit.lines(t, 0), "\n")
	if !strings.Contains(told, "(not an id)") || !strings.Contains(told, text[:16]+"…") {
		t.Errorf("nothing was left out:\n%s", told)
	}
	for _, secret := range []string{text[16:], jwt, jwt[:40], fmt.Sprint(made["key"]), adminToken} {
		if strings.Contains(told, secret) {
			t.Errorf("%q stands in the audit:\n%s", secret, told)
		}
	}
}

// Without an audit nothing is changed; a change whose outcome cannot be written is told.
func TestNothingIsChangedUnaudited(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	audit.fails = func(store.AuditRecord) bool { return true }
	a.want(t, http.StatusServiceUnavailable, "POST /v1/consumers", `{"id":"acme"}`)
	a.want(t, http.StatusNotFound, "GET /v1/consumers/acme", "")
	if !strings.Contains(a.logged.String(), "nothing was changed, for the audit cannot be written: read-only replica") {
		t.Errorf("the log does not say why: %s", a.logged)
	}
	audit.fails = func(r store.AuditRecord) bool { return r.Outcome != "attempt" }
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	a.want(t, http.StatusOK, "GET /v1/consumers/acme", "")
	if !strings.Contains(a.logged.String(), "an outcome is missing in the audit") {
		t.Errorf("the log does not say what is missing: %s", a.logged)
	}
	if got := audit.lines(t, 0); len(got) != 1 || !strings.Contains(got[0], "attempt") {
		t.Errorf("entries: %q", got)
	}
	a = administrate(t, func(api *Admin) { api.Audit = nil })
	a.want(t, http.StatusServiceUnavailable, "POST /v1/consumers", `{"id":"acme"}`)
	a.want(t, http.StatusNotFound, "GET /v1/audit", "")
}

// The store failing in the middle of a change is a failure, and not a refusal.
func TestAFailureOfOursIsInTheAudit(t *testing.T) {
	a, audit := auditedCalls(t, func(api *Admin) { api.Announce = func(string, string) error { return errors.New("down") } })
	a.want(t, http.StatusServiceUnavailable, "POST /v1/tokens/revoke", `{"issuer":"`+issuer+`","jti":"t1"}`)
	if got := audit.lines(t, 1); len(got) != 1 || !strings.Contains(got[0], " failed ") {
		t.Errorf("entries: %q", got)
	}
}

func TestTheAuditIsListed(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	for i := range 3 {
		a.want(t, http.StatusCreated, "POST /v1/consumers", fmt.Sprintf(`{"id":"c%d"}`, i))
	}
	for query, want := range map[string]string{
		"": "1 2 3 4 5 6", "?limit=2": "1 2", "?after=4": "5 6", "?after=2&limit=1": "3", "?after=6": "", "?after=9000": "",
	} {
		var list struct {
			Entries []store.AuditEntry
			Head    store.AuditHead
		}
		resp := a.call(t, "GET /v1/audit"+query, "")
		if err := json.Unmarshal([]byte(resp.Body), &list); err != nil || !strings.Contains(resp.Body, `"entries":[`) {
			t.Errorf("%q: %s (%v)", query, resp.Body, err)
		}
		var seqs []string
		for _, e := range list.Entries {
			seqs = append(seqs, fmt.Sprint(e.Seq))
		}
		if got := strings.Join(seqs, " "); got != want || list.Head.Seq != 6 {
			t.Errorf("%q: %q of %d, want %q", query, got, list.Head.Seq, want)
		}
		if query == "" {
			if err := store.VerifyAudit(list.Entries, list.Head); err != nil {
				t.Errorf("what was sent is broken: %v", err)
			}
		}
	}
	for _, query := range []string{"?after=x", "?after=-1", "?limit=0", "?limit=1001", "?limit=x", "?after=1e3"} {
		a.want(t, http.StatusBadRequest, "GET /v1/audit"+query, "")
	}
	if got := audit.lines(t, 6); len(got) != 0 {
		t.Errorf("reading it left entries: %q", got)
	}
}

func TestActionsAreNamedByTheirPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"POST /v1/keys": "key.create", "PUT /v1/keys/{id}": "key.update", "PATCH /v1/keys/{id}": "key.update",
		"DELETE /v1/keys/{id}": "key.revoke", "POST /v1/keys/{id}/rotate": "key.rotate", "DELETE /v1/consumers/{id}": "consumer.delete",
		"POST /v1/tokens/revoke": "token.revoke", "POST /v1/import": "import", "POST /v1/things": "thing.create", "GET /v1/keys": "", "POST /v1/explain": "",
	} {
		if got := actionOf(&http.Request{Pattern: pattern}); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}
