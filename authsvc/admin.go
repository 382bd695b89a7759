package authsvc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// ConsumerBooks is what the admin API needs of a store for consumers.
type ConsumerBooks interface {
	Consumer(ctx context.Context, id string) (*store.Consumer, error)
	Consumers(ctx context.Context, after string, limit int) ([]store.Consumer, error)
	CreateConsumer(context.Context, store.Consumer) (store.Consumer, error)
	UpdateConsumer(context.Context, store.Consumer) (store.Consumer, error)
	DeleteConsumer(ctx context.Context, id string) error
}

// KeyBooks is what the admin API needs of a store for keys.
type KeyBooks interface {
	CreateKey(context.Context, store.Key) error
	Key(ctx context.Context, id string) (*store.Key, error)
	Keys(ctx context.Context, consumer, after string, limit int) ([]store.Key, error)
	UpdateKey(context.Context, store.Key) (store.Key, error)
	RevokeKey(ctx context.Context, id string) error
}

// Local is the cache in front of the store. Other processes learn of a change when their
// own cache asks again; this one at once.
type Local interface {
	ForgetKey(id string)
	ForgetConsumer(id string)
	ForgetNegative()
}

// Admin is the API under /v1: consumers, keys, and dry runs; and the profiles of this
// process under /debug/pprof. Everything wants the bearer token; without one configured, everything is refused.
type Admin struct {
	Consumers ConsumerBooks
	Keys      KeyBooks
	Records   store.Loader   // of the same store: writes what is imported
	Declared  *store.Static  // what the configuration file declares; read only
	Local     Local          // forgets what a call changed
	Decider   policy.Decider // for explain: a dry engine, so that nothing is spent or counted
	Format    policy.KeyFormat
	Pepper    policy.Pepper
	Old       []policy.Pepper // with which imported hashes may be made, too
	Routes    []string        // the names that a key may be bound to; nil for not checked
	Limits    []string        // likewise
	Wait      Waiter          // nil where this process is the only one
	Tokens    []TokenHash

	Revocations TokenBooks
	Issuers     []string // of whose tokens some may be revoked
	// Announce tells whoever does not hear it of the store that something of a kind ("token")
	// changed, by its id: this process. Nil for nobody.
	Announce func(kind, id string) error
	Audit    AuditBooks // without one nothing is changed

	Now func() time.Time
	Log *slog.Logger

	imports imports
}

// TokenHash is the SHA-256 of an admin token.
type TokenHash [sha256.Size]byte

// HashToken hashes a token.
func HashToken(token policy.Secret) TokenHash { return sha256.Sum256([]byte(token.Reveal())) }

// ParseTokenHash reads "sha256:<64 hex digits>"; false when it is of another form.
func ParseTokenHash(text string) (h TokenHash, ok bool) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if !ok || len(digits) != 2*len(h) {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(digits))
	return h, err == nil
}

// Handler serves the API.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	handle(a, mux, "GET /v1/consumers", a.listConsumers)
	handle(a, mux, "POST /v1/consumers", a.createConsumer)
	handle(a, mux, "GET /v1/consumers/{id}", a.showConsumer)
	handle(a, mux, "PUT /v1/consumers/{id}", a.updateConsumer)
	handle(a, mux, "DELETE /v1/consumers/{id}", a.deleteConsumer)
	handle(a, mux, "GET /v1/keys", a.listKeys)
	handle(a, mux, "POST /v1/keys", a.createKey)
	handle(a, mux, "GET /v1/keys/{id}", a.showKey)
	handle(a, mux, "PUT /v1/keys/{id}", a.updateKey)
	handle(a, mux, "POST /v1/keys/{id}/rotate", a.rotateKey)
	handle(a, mux, "DELETE /v1/keys/{id}", a.revokeKey)
	handle(a, mux, "POST /v1/import", a.importLines)
	handle(a, mux, "POST /v1/tokens/revoke", a.revokeTokens)
	handle(a, mux, "GET /v1/audit", a.listAudit)
	handle(a, mux, "POST /v1/explain", a.explain)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile) // ?seconds= up to the server's write timeout
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return a.authenticate(mux)
}

func (a *Admin) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !a.holdsToken(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="stile admin"`)
			detail := "send the admin token as Authorization: Bearer …"
			if len(a.Tokens) == 0 {
				detail = "no admin token is configured: start stile with STILE_ADMIN_TOKEN or admin.token"
			}
			fail(w, http.StatusUnauthorized, "The admin API wants its token", detail)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// holdsToken compares in constant time, and with every token, so that neither the text
// nor the place of a match shows in how long it takes.
func (a *Admin) holdsToken(r *http.Request) bool {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return false
	}
	presented := HashToken(policy.NewSecret(token))
	match := 0
	for _, known := range a.Tokens {
		match |= subtle.ConstantTimeCompare(presented[:], known[:])
	}
	return match == 1
}
