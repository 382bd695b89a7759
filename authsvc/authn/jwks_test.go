package authn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// fields are a JWK as a map, with changes; nil takes a field away.
func fields(t *testing.T, k jose.JSONWebKey, changes map[string]any) map[string]any {
	t.Helper()
	text, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func document(t *testing.T, keys ...map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": append([]map[string]any{}, keys...)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhichKeysAreUsed(t *testing.T) {
	one, ec, ed := rsaOne(), ecSigner("e"), edSigner("d")
	short := rsaSigner("short", 1024)
	p224, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	change := func(k signer, changes map[string]any) map[string]any { return fields(t, k.jwk(), changes) }
	for name, c := range map[string]struct {
		key  map[string]any
		used bool
	}{
		"RSA":                 {change(one, nil), true},
		"EC":                  {change(ec, nil), true},
		"OKP":                 {change(ed, nil), true},
		"no use, no alg":      {change(one, map[string]any{"use": nil, "alg": nil}), true},
		"for verifying":       {change(one, map[string]any{"key_ops": []string{"verify"}}), true},
		"for signing":         {change(one, map[string]any{"key_ops": []string{"sign"}}), false},
		"for nothing":         {change(one, map[string]any{"key_ops": []string{}}), false},
		"key_ops is text":     {change(one, map[string]any{"key_ops": "verify"}), false},
		"for encryption":      {change(one, map[string]any{"use": "enc"}), false},
		"use is empty":        {change(one, map[string]any{"use": ""}), false},
		"alg of encryption":   {change(one, map[string]any{"alg": "RSA-OAEP"}), false},
		"alg of a MAC":        {change(one, map[string]any{"alg": "HS256"}), false},
		"alg of another type": {change(one, map[string]any{"alg": "ES256"}), false},
		"alg of other curve":  {change(ec, map[string]any{"alg": "ES384"}), false},
		"alg none":            {change(one, map[string]any{"alg": "none"}), false},
		"short RSA":           {change(short, nil), false},
		"no modulus":          {change(one, map[string]any{"n": nil}), false},
		"exponent one":        {change(one, map[string]any{"e": "AQ"}), false},
		"kid is a number":     {change(one, map[string]any{"kid": 1}), false},
		"no kid":              {change(one, map[string]any{"kid": nil}), true},
		"unknown type":        {change(one, map[string]any{"kty": "XYZ"}), false},
		"unknown curve":       {change(ec, map[string]any{"crv": "secp256k1"}), false},
		"off the curve":       {change(ec, map[string]any{"x": change(signer{private: p224}, nil)["x"]}), false},
		"Ed448":               {change(ed, map[string]any{"crv": "Ed448"}), false},
		"X25519":              {change(ed, map[string]any{"crv": "X25519"}), false},
		"private RSA":         {fields(t, jose.JSONWebKey{Key: one.private, KeyID: "p"}, nil), false},
		"private EC":          {fields(t, jose.JSONWebKey{Key: ec.private, KeyID: "p"}, nil), false},
		"private OKP":         {fields(t, jose.JSONWebKey{Key: ed.private, KeyID: "p"}, nil), false},
		"symmetric":           {map[string]any{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "kid": "s"}, false},
		"symmetric, empty":    {map[string]any{"kty": "oct", "k": "", "kid": "s"}, false},
		"nothing":             {map[string]any{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			// A good key beside it is used in any case.
			set, err := parseKeys(document(t, c.key, fields(t, rsaTwo().jwk(), nil)))
			if err != nil {
				t.Fatal(err)
			}
			if !set.has("two") || len(set.list) != 1+map[bool]int{true: 1}[c.used] {
				t.Errorf("%d keys are used", len(set.list))
			}
		})
	}
}

// TestDuplicateKid: a set may have a kid more than once, and a stranger cannot make us
// try many keys.
func TestDuplicateKid(t *testing.T) {
	one, two, ec := rsaOne(), rsaTwo(), ecSigner("one")
	two.kid = "one"
	f := newFixture(t, nil, two, ec, one)
	for _, s := range []signer{one, two, ec} {
		_, err := f.present(f.token(t, s, nil))
		expect(t, err, "ok")
	}
	// Without a kid, the EC key alone fits.
	_, err := f.present(ec.forge(t, `{"alg":"ES256"}`, f.raw(nil)))
	expect(t, err, "ok")
	_, err = f.present(one.forge(t, `{"alg":"RS256"}`, f.raw(nil)))
	expect(t, err, "bad_credential")

	var many []map[string]any
	for range 10 {
		many = append(many, fields(t, edSigner("k").jwk(), nil))
	}
	set, err := parseKeys(document(t, many...))
	if err != nil {
		t.Fatal(err)
	}
	fit, err := set.fitting(joseHeader{"EdDSA", "k"})
	if err != nil || len(fit) != maxCandidates {
		t.Errorf("%d keys are tried, %v", len(fit), err)
	}
}

// TestEmptySet: an issuer that takes all of its keys back is believed.
func TestEmptySet(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, nil)
	_, err := f.present(token)
	expect(t, err, "ok")
	f.publish()
	f.Advance(f.jwt.options.TTL)
	_, err = f.present(token)
	expect(t, err, "bad_credential")
	if state := f.jwt.State(); state.Status != KeysLoaded || state.Keys != 0 {
		t.Errorf("state is %+v", state)
	}
}

func TestContentOfKeys(t *testing.T) {
	one, ec := fields(t, rsaOne().jwk(), nil), fields(t, ecSigner("e").jwk(), nil)
	content := func(keys ...map[string]any) string {
		set, err := parseKeys(document(t, keys...))
		if err != nil {
			t.Fatal(err)
		}
		return set.content
	}
	renamed := fields(t, rsaOne().jwk(), map[string]any{"kid": "other"})
	anyAlg := fields(t, rsaOne().jwk(), map[string]any{"alg": nil})
	seen := map[string]string{}
	for name, text := range map[string]string{
		"both": content(one, ec), "one": content(one), "ec": content(ec), "renamed": content(renamed, ec),
		"other alg": content(anyAlg, ec), "none": content(), "twice": content(one, one, ec),
	} {
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s look the same", name, other)
		}
		seen[text] = name
	}
	if content(one, ec) != content(ec, one) {
		t.Error("order matters")
	}
}

func TestNewJWTRefuses(t *testing.T) {
	good := JWTOptions{Name: "staff", Issuer: "https://id.example.com", Audiences: []string{"orders"}}
	if _, err := NewJWT(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*JWTOptions){
		"issuer is required":              func(o *JWTOptions) { o.Issuer = "" },
		"must be https":                   func(o *JWTOptions) { o.Issuer = "http://id.example.com" },
		"must not have a query":           func(o *JWTOptions) { o.Issuer += "?x" },
		"must not contain |":              func(o *JWTOptions) { o.Issuer += "|x"; o.JWKSFile = "x" },
		"JWKS URL \"http://evil.example":  func(o *JWTOptions) { o.JWKSURL = "http://evil.example/x" },
		"exclude each other":              func(o *JWTOptions) { o.JWKSURL = "https://x"; o.JWKSFile = "x" },
		"an audience is required":         func(o *JWTOptions) { o.Audiences = nil },
		"none may be empty":               func(o *JWTOptions) { o.Audiences = []string{"a", ""} },
		`"HS256" is none of RS256, RS384`: func(o *JWTOptions) { o.Algorithms = []string{"RS256", "HS256"} },
		`"none" is none of`:               func(o *JWTOptions) { o.Algorithms = []string{"none"} },
		`"rs256" is none of`:              func(o *JWTOptions) { o.Algorithms = []string{"rs256"} },
		"write it as a JSON pointer":      func(o *JWTOptions) { o.Claims.Groups = "https://x.example/roles" },
		"empty element":                   func(o *JWTOptions) { o.Claims.Scopes = "a..b" },
		"neither ~0 nor ~1":               func(o *JWTOptions) { o.Claims.Consumer = "/a~b" },
		"cannot name a cookie":            func(o *JWTOptions) { o.Cookie = "a;b" },
		"must not be negative":            func(o *JWTOptions) { o.CacheEntries = -1 },
		"times of keys":                   func(o *JWTOptions) { o.MinRefresh = -1 },
		"cannot live":                     func(o *JWTOptions) { o.TTL = 1 },
	} {
		o := good
		change(&o)
		_, err := NewJWT(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	// All problems at once.
	_, err := NewJWT(JWTOptions{Algorithms: []string{"none"}, Claims: ClaimPaths{Groups: "."}})
	for _, want := range []string{"issuer", "audience", "none", "empty element"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	// An issuer that is only a name needs no URL.
	for _, issuer := range []string{"kubernetes/serviceaccount", "http://keycloak:8080/realms/x"} {
		o := good
		o.Issuer, o.JWKSFile = issuer, "jwks.json"
		if _, err := NewJWT(o); err != nil {
			t.Error(err)
		}
	}
}
