package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is a token issuer for the demo: discovery, a key set, and tokens on request.
// ES256, because an RSA key takes longer to make than the demo may take to start.
type issuer struct {
	url    string
	signer jose.Signer
}

func startIssuer(ctx context.Context) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "demo"}},
		(&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return nil, err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "demo", Algorithm: "ES256", Use: "sig"}}}
	is := &issuer{signer: signer}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"issuer": is.url, "jwks_uri": is.url + "/jwks.json", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("GET /jwks.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, set) })
	is.url, err = serveAside(ctx, mux)
	return is, err
}

// token makes an access token for a consumer.
func (is *issuer) token(consumer string, lifetime time.Duration) (string, error) {
	now := time.Now()
	return jwt.Signed(is.signer).Claims(jwt.Claims{
		Issuer: is.url, Subject: consumer, Audience: jwt.Audience{"orders"}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(lifetime)),
	}).Claims(map[string]any{"client_id": consumer, "scope": "orders:read", "groups": []string{"staff"}}).Serialize()
}

// startSample is an upstream that answers with what it received, so that everybody sees
// which headers arrive and which do not.
func startSample(ctx context.Context) (string, error) {
	return serveAside(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]any{"upstream": "sample", "method": r.Method, "path": r.URL.RequestURI(), "headers": r.Header})
	}))
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v)
}

// serveAside serves on a free port of loopback until ctx ends.
func serveAside(ctx context.Context, h http.Handler) (url string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() { _ = s.Serve(ln) }()
	return "http://" + ln.Addr().String(), nil
}
