package authn

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestBadAnswers: whatever an issuer answers that is not a key set, there are no keys, and
// the decision is Unavailable, never a verdict on the token.
func TestBadAnswers(t *testing.T) {
	one := rsaOne()
	elsewhere := newIssuer(t, one)
	block := bytes.Repeat([]byte(" "), 1<<16)
	for name, serve := range map[string]http.HandlerFunc{
		"503":       down,
		"404":       http.NotFound,
		"204":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"206":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) },
		"304":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
		"HTML":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) },
		"KEYS":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"KEYS":[]}`)) },
		"null keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":null}`)) },
		"text keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":"x"}`)) },
		"twice":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[],"keys":[]}`)) },
		"trailing":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}x`)) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"keys":[]}`))
		},
		"50 MB": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[]}`))
			for range 50 << 20 / len(block) {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 50 << 20 / len(block) {
				_, _ = z.Write(block)
			}
			_ = z.Close()
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirect away": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/jwks", http.StatusFound)
		},
		"redirect to self": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(o *JWTOptions) { o.FetchTimeout = 500 * time.Millisecond }, one)
			f.answer(serve)
			_, err := f.present(f.token(t, one, nil))
			expect(t, err, "unavailable")
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
	if n := elsewhere.fetches.Load(); n != 0 {
		t.Errorf("%d redirects to another host were followed", n)
	}
}

func TestRedirectOnSameHost(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	f.answer(func(w http.ResponseWriter, r *http.Request) {
		f.answer(nil)
		http.Redirect(w, r, "/jwks", http.StatusFound)
	})
	_, err := f.present(f.token(t, one, nil))
	expect(t, err, "ok")
}

func TestDiscovery(t *testing.T) {
	one := rsaOne()
	for name, change := range map[string]func(*fixture){
		"wrong issuer":      func(f *fixture) { f.issuer.issuer = "https://evil.example" },
		"slash at the end":  func(f *fixture) { f.issuer.issuer = f.URL + "/" },
		"keys in clear":     func(f *fixture) { f.jwksURL = "http://evil.example/jwks" },
		"keys in a file":    func(f *fixture) { f.jwksURL = "file:///etc/passwd" },
		"keys nowhere":      func(f *fixture) { f.jwksURL = "/jwks" },
		"keys with a login": func(f *fixture) { f.jwksURL = "https://a:b@evil.example/jwks" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nil, one)
			change(f)
			_, err := f.present(f.token(t, one, nil))
			expect(t, err, "unavailable")
			f.fetched(t, 0)
		})
	}
}

// TestDiscoveryAnswers: go-oidc reads discovery without a cap and quotes it in errors.
func TestDiscoveryAnswers(t *testing.T) {
	one := rsaOne()
	for name, serve := range map[string]http.HandlerFunc{
		"refused at length": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(bytes.Repeat([]byte("no\r\n"), 10_000))
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
					return
				}
			}
		},
		"redirect away": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:1/", http.StatusFound)
		},
		"no jwks_uri": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"http://` + r.Host + `"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(serve)
			t.Cleanup(server.Close)
			j, err := NewJWT(JWTOptions{Issuer: server.URL, Audiences: []string{"a"}, FetchTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			err = j.Warm(t.Context())
			expect(t, err, "unavailable")
			if err != nil && (len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\r\n")) {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
			_, err = j.Authenticate(t.Context(), bearer(one.sign(t, map[string]any{"iss": server.URL})))
			expect(t, err, "unavailable")
		})
	}
}

func TestJWKSURL(t *testing.T) {
	one := rsaOne()
	keys := newIssuer(t, one)
	f := newFixture(t, func(o *JWTOptions) { o.JWKSURL = keys.URL + "/jwks"; o.HTTPClient = keys.Client() })
	_, err := f.present(f.token(t, one, nil))
	expect(t, err, "ok")
}

func TestJWKSFile(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	path := filepath.Join(t.TempDir(), "jwks.json")
	write := func(keys ...signer) {
		t.Helper()
		var set jose.JSONWebKeySet
		for _, k := range keys {
			set.Keys = append(set.Keys, k.jwk())
		}
		text, err := json.Marshal(set)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f := newFixture(t, func(o *JWTOptions) { o.JWKSFile = path })
	token := f.token(t, one, map[string]any{"exp": f.Now().Unix() + 7200})
	_, err := f.present(token)
	expect(t, err, "unavailable") // there is no file yet
	write(one)
	f.Advance(10 * time.Second)
	_, err = f.present(token)
	expect(t, err, "ok")

	write(two)
	f.Advance(9 * time.Second)
	_, err = f.present(token)
	expect(t, err, "ok")
	f.Advance(time.Second)
	_, err = f.present(token)
	expect(t, err, "bad_credential")
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "ok")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.Advance(10 * time.Second)
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "ok") // while it is being replaced
	f.Advance(time.Hour)
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "unavailable")
}

func TestCheckURL(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://id.example.com": true, "https://id.example.com:8443/realms/x?y=1": true,
		"http://localhost:8080": true, "http://127.0.0.1/x": true, "http://127.9.9.9": true, "http://[::1]:80": true,
		"http://id.example.com": false, "http://localhost.evil.example": false, "http://127.0.0.1.evil.example": false,
		"http://0.0.0.0": false, "http://10.0.0.1": false, "http://[::]": false, "http://localhost@evil.example": false,
		"ftp://id.example.com": false, "https://": false, "https:id.example.com": false, "id.example.com": false, "": false,
		"https://u:p@id.example.com": false, "https://id.example.com/#x": false, "file:///etc/passwd": false, "//x/y": false,
		"http://2130706433": false, "http://127.1": false,
	} {
		if err := checkURL(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
