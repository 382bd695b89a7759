package authn

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-gate/stile/policy"
)

func TestHeaders(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one)
	evil, err := two.jwk().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	private, err := jose.JSONWebKey{Key: two.private}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	good := func(more string) string { return `{"alg":"RS256","kid":"one"` + more + `}` }
	for name, c := range map[string]struct{ header, want string }{
		"good":                  {good(``), "ok"},
		"typ JWT":               {good(`,"typ":"JWT"`), "ok"},
		"typ jwt":               {good(`,"typ":"jwt"`), "ok"},
		"typ at+jwt":            {good(`,"typ":"AT+JWT"`), "ok"},
		"typ application/jwt":   {good(`,"typ":"application/jwt"`), "ok"},
		"typ empty":             {good(`,"typ":""`), "bad_credential"},
		"typ null":              {good(`,"typ":null`), "bad_credential"},
		"typ logout":            {good(`,"typ":"logout+jwt"`), "bad_credential"},
		"typ dpop":              {good(`,"typ":"dpop+jwt"`), "bad_credential"},
		"typ other application": {good(`,"typ":"application/application/jwt"`), "bad_credential"},
		"Typ":                   {good(`,"Typ":"JWT"`), "bad_credential"},
		"crit exp":              {good(`,"crit":["exp"],"exp":1`), "bad_credential"},
		"crit empty":            {good(`,"crit":[]`), "bad_credential"},
		"crit null":             {good(`,"crit":null`), "bad_credential"},
		"crit text":             {good(`,"crit":"exp"`), "bad_credential"},
		"crit b64":              {good(`,"crit":["b64"],"b64":true`), "bad_credential"},
		"Crit":                  {good(`,"Crit":["x"]`), "bad_credential"},
		"b64 false":             {good(`,"b64":false`), "bad_credential"},
		"b64 true":              {good(`,"b64":true`), "bad_credential"},
		"alg twice":             {`{"alg":"none","kid":"one","alg":"RS256"}`, "bad_credential"},
		"ALG":                   {`{"alg":"RS256","ALG":"none","kid":"one"}`, "bad_credential"},
		"ALG alone":             {`{"ALG":"RS256","kid":"one"}`, "bad_credential"},
		"kid twice":             {good(`,"kid":"one"`), "bad_credential"},
		"extra twice":           {good(`,"x":1,"x":1`), "bad_credential"},
		"jwk ignored":           {good(`,"jwk":` + string(evil)), "ok"},
		"private jwk":           {good(`,"jwk":` + string(private)), "bad_credential"},
		"jku ignored":           {good(`,"jku":"http://169.254.169.254/"`), "ok"},
		"x5u ignored":           {good(`,"x5u":"http://169.254.169.254/"`), "ok"},
		"x5c junk":              {good(`,"x5c":["AAAA"]`), "bad_credential"},
		"no kid, one key":       {`{"alg":"RS256"}`, "ok"},
		"kid empty, one key":    {`{"alg":"RS256","kid":""}`, "ok"},
		"kid null":              {`{"alg":"RS256","kid":null}`, "bad_credential"},
		"kid number":            {`{"alg":"RS256","kid":1}`, "bad_credential"},
		"kid array":             {`{"alg":"RS256","kid":["one"]}`, "bad_credential"},
		"not an object":         {`["RS256"]`, "bad_credential"},
		"trailing":              {good(``) + `{}`, "bad_credential"},
		"not UTF-8":             {good(",\"x\":\"\xff\""), "bad_credential"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.present(one.forge(t, c.header, f.raw(nil)))
			expect(t, err, c.want)
		})
	}
	// A key that came with the token proves nothing.
	_, err = f.present(two.forge(t, good(`,"jwk":`+string(evil)), f.raw(nil)))
	expect(t, err, "bad_credential")
	_, err = f.present(two.forge(t, good(`,"jku":"`+f.URL+`/evil"`), f.raw(nil)))
	expect(t, err, "bad_credential")
}

func TestType(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, func(o *JWTOptions) { o.Type = "application/AT+jwt" }, one)
	for typ, want := range map[string]string{
		`"at+jwt"`: "ok", `"AT+JWT"`: "ok", `"application/at+jwt"`: "ok", `"APPLICATION/at+JWT"`: "ok",
		`"JWT"`: "bad_credential", `""`: "bad_credential", `null`: "bad_credential", `"xat+jwt"`: "bad_credential",
		`"text/at+jwt"`: "bad_credential", `"at+jwt "`: "bad_credential", `["at+jwt"]`: "bad_credential",
	} {
		_, err := f.present(one.forge(t, `{"alg":"RS256","kid":"one","typ":`+typ+`}`, f.raw(nil)))
		if got := outcome(err); got != want {
			t.Errorf("typ %s: got %s (%v), want %s", typ, got, err, want)
		}
	}
	_, err := f.present(one.forge(t, `{"alg":"RS256","kid":"one"}`, f.raw(nil)))
	expect(t, err, "bad_credential")
}

// TestShapes covers what is no JWS of three parts, and base64 that is not canonical.
func TestShapes(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, nil)
	parts := strings.Split(token, ".")
	h, c, s := parts[0], parts[1], parts[2]
	last := s[len(s)-1]
	sameBits := s[:len(s)-1] + string(last+1) // decodes alike where decoding is lax
	for name, text := range map[string]string{
		"opaque": "abcdef", "two parts": h + "." + c, "four parts": token + ".x", "no signature": h + "." + c + ".",
		"no header": "." + c + "." + s, "no claims": h + ".." + s, "dots": "..", "many dots": strings.Repeat(".", 9000),
		"JWE":               "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoib25lIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
		"JWE, no key":       encode(`{"alg":"A128KW","enc":"A128GCM"}`) + "..AAAA.AAAA.AAAA",
		"JWE, p2c":          encode(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`) + ".AAAA.AAAA.AAAA.AAAA",
		"padded":            h + "." + c + "." + s + "==",
		"standard alphabet": h + "." + c + "." + strings.NewReplacer("-", "+", "_", "/").Replace(s) + "+/",
		"other bits":        h + "." + c + "." + sameBits,
		"claims not ours":   h + "." + encode(`{"iss":"`+f.URL+`","sub":"root","aud":"orders","exp":1900000000}`) + "." + s,
		"signature cut":     h + "." + c + "." + s[:len(s)-4],
		"claims an array":   one.forge(t, `{"alg":"RS256","kid":"one"}`, `[]`),
		"nested":            one.forge(t, `{"alg":"RS256","kid":"one","cty":"JWT"}`, token),
		"too long":          f.token(t, one, map[string]any{"x": strings.Repeat("x", 16<<10)}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.present(text)
			expect(t, err, "bad_credential")
		})
	}
	_, err := f.present(token)
	expect(t, err, "ok")
}

func TestKeyIDs(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one, two)
	for _, kid := range []string{
		strings.Repeat("k", 10_000), strings.Repeat("k", 256), "../../dev/null", "' OR 1=1 --", "\x00", "*", "a\r\nSet: x",
		"ONE", "one ", "one\x00", "http://evil.example/jwks", "{c:acme}", "\u202eeno",
	} {
		quoted, err := json.Marshal(kid)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.present(one.forge(t, `{"alg":"RS256","kid":`+string(quoted)+`}`, f.raw(nil)))
		expect(t, err, "bad_credential")
		if err != nil && (len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\r\n\x00")) {
			t.Errorf("kid stands in the error as it came: %q", err)
		}
	}
	_, err := f.present(one.forge(t, `{"alg":"RS256"}`, f.raw(nil)))
	expect(t, err, "bad_credential") // two keys fit
	_, err = f.present(two.forge(t, `{"alg":"RS256","kid":"one"}`, f.raw(nil)))
	expect(t, err, "bad_credential")
	// Of the two keys, only one may be used with ES256: no kid is needed.
	ec := ecSigner("")
	f.publish(one, ec)
	f.Advance(5 * time.Minute)
	_, err = f.present(ec.forge(t, `{"alg":"ES256"}`, f.raw(nil)))
	expect(t, err, "ok")
}

// TestBadSignatureWins: only who has the key learns that a token is expired.
func TestBadSignatureWins(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	expired := f.token(t, one, map[string]any{"exp": f.Now().Unix() - 10})
	_, err := f.present(expired)
	expect(t, err, "expired")
	_, err = f.present(expired[:len(expired)-8] + "AAAAAAAA")
	expect(t, err, "bad_credential")
}

// TestCacheKeepsNoVerdict: a token that was good is judged again each time.
func TestCacheKeepsNoVerdict(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, map[string]any{"exp": f.Now().Unix() + 100})
	first, err := f.present(token)
	expect(t, err, "ok")
	second, err := f.present(token)
	expect(t, err, "ok")
	if first != second {
		t.Error("the second time it was verified again")
	}
	f.Advance(100 * time.Second)
	_, err = f.present(token)
	expect(t, err, "expired")

	early := f.token(t, one, map[string]any{"nbf": f.Now().Unix() + 100})
	_, err = f.present(early)
	expect(t, err, "bad_credential")
	f.Advance(40 * time.Second)
	_, err = f.present(early)
	expect(t, err, "ok")
	f.Advance(-41 * time.Second) // a clock that was set back
	_, err = f.present(early)
	expect(t, err, "bad_credential")
}

func TestCookie(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, func(o *JWTOptions) { o.Cookie = "session" }, one)
	token := f.token(t, one, nil)
	for name, c := range map[string]struct {
		header http.Header
		want   string
	}{
		"bearer":              {http.Header{"Authorization": {"Bearer " + token}}, "ok"},
		"cookie":              {http.Header{"Cookie": {"a=b; session=" + token}}, "ok"},
		"cookie, other auth":  {http.Header{"Cookie": {"session=" + token}, "Authorization": {"Basic YTpi"}}, "ok"},
		"both":                {http.Header{"Cookie": {"session=" + token}, "Authorization": {"Bearer " + token}}, "bad_request"},
		"both, cookie empty":  {http.Header{"Cookie": {"session="}, "Authorization": {"Bearer " + token}}, "bad_request"},
		"broken bearer":       {http.Header{"Cookie": {"session=" + token}, "Authorization": {"Bearer"}}, "bad_request"},
		"two lines":           {http.Header{"Cookie": {"a=b", "session=" + token}}, "bad_request"},
		"twice":               {http.Header{"Cookie": {"session=" + token + "; session=x"}}, "bad_request"},
		"other case":          {http.Header{"Cookie": {"Session=" + token}}, "no_credential"},
		"quoted":              {http.Header{"Cookie": {`session="` + token + `"`}}, "bad_credential"},
		"none":                {http.Header{}, "no_credential"},
		"bearer, odd cookies": {http.Header{"Authorization": {"Bearer " + token}, "Cookie": {`=;;"\x01; a`}}, "ok"},
	} {
		_, err := f.jwt.Authenticate(context.Background(), &policy.Request{Header: c.header})
		if got := outcome(err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, c.want)
		}
	}
	// Whoever does not read cookies does not judge them.
	f = newFixture(t, nil, one)
	_, err := f.jwt.Authenticate(context.Background(), &policy.Request{Header: http.Header{
		"Authorization": {"Bearer " + f.token(t, one, nil)}, "Cookie": {"a=b", "c=d"},
	}})
	expect(t, err, "ok")
}

// TestErrorsHoldNoToken: whatever goes wrong, no part of a token or of its claims shows.
func TestErrorsHoldNoToken(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	const secret = "classified"
	for _, changes := range []map[string]any{
		{"sub": []string{secret}},
		{"aud": secret},
		{"exp": secret},
		{"groups": map[string]string{secret: secret}},
		{"nonce": []string{secret}},
		{"_claim_names": secret},
		{"scope": secret + "\x01"},
		{"exp": 1, "x": secret},
	} {
		token := f.token(t, one, changes)
		_, err := f.present(token)
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), token[len(token)-20:]) {
			t.Errorf("%v: %v", changes, err)
		}
	}
}

func TestSeveralIssuersOnOneRoute(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	a, b := newFixture(t, nil, one), newFixture(t, nil, two)
	token := b.token(t, two, nil)
	_, err := a.present(token)
	expect(t, err, "not_mine")
	_, err = b.present(token)
	expect(t, err, "ok")
	if n := a.fetches.Load(); n != 0 {
		t.Errorf("a token of another issuer caused %d fetches", n)
	}
	// Nor does somebody else's signature help a token that names our issuer.
	_, err = a.present(two.sign(t, a.claims(a.Now(), nil)))
	expect(t, err, "bad_credential")
}
