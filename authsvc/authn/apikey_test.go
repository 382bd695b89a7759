package authn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
)

// books are keys by their text, and how often they were asked for.
type books struct {
	keys  map[string]*policy.Identity
	err   error
	asked int
}

func (b *books) Identify(_ context.Context, key policy.Secret) (*policy.Identity, error) {
	b.asked++
	return b.keys[key.Reveal()], b.err
}

func acme(id string) *policy.Identity {
	return &policy.Identity{
		Ref: policy.Ref{Kind: "key", ID: id}, Credential: id, Scopes: []string{"a", "b"},
		Expires: time.Unix(1_900_000_000, 0).UTC(), ConsumerID: "acme", Consumer: &policy.Consumer{ID: "acme", Username: "Acme Ltd"},
	}
}

func newBooks(t testing.TB) (b *books, id, key string) {
	t.Helper()
	id, secret := policy.KeyFormat{}.New()
	return &books{keys: map[string]*policy.Identity{secret.Reveal(): acme(id)}}, id, secret.Reveal()
}

func newAPIKey(t testing.TB, o APIKeyOptions) *APIKey {
	t.Helper()
	a, err := NewAPIKey(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAPIKeyIdentity(t *testing.T) {
	b, _, key := newBooks(t)
	a := newAPIKey(t, APIKeyOptions{Header: "x-api-key", Keys: b})
	got, err := a.Authenticate(t.Context(), &policy.Request{Header: http.Header{"X-Api-Key": {key}}})
	if err != nil {
		t.Fatal(err)
	}
	if got != b.keys[key] {
		t.Errorf("got %+v, want %+v", got, b.keys[key])
	}
}

func TestAPIKeyHeader(t *testing.T) {
	b, _, key := newBooks(t)
	_, other := policy.KeyFormat{}.New()
	_, foreign := policy.KeyFormat{Prefix: "other"}.New()
	a := newAPIKey(t, APIKeyOptions{Header: "X-API-Key", Keys: b})
	for name, c := range map[string]struct {
		values []string
		want   string
		asked  int
	}{
		"good":           {[]string{key}, "ok", 1},
		"absent":         {nil, "no_credential", 0},
		"no value":       {[]string{}, "no_credential", 0},
		"empty":          {[]string{""}, "bad_request", 0},
		"spaces":         {[]string{" \t"}, "bad_request", 0},
		"twice":          {[]string{key, key}, "bad_request", 0},
		"and empty":      {[]string{key, ""}, "bad_request", 0},
		"list":           {[]string{key + ", " + key}, "bad_credential", 0},
		"unknown":        {[]string{other.Reveal()}, "bad_credential", 1},
		"other prefix":   {[]string{foreign.Reveal()}, "bad_credential", 0},
		"cut":            {[]string{key[:len(key)-1]}, "bad_credential", 0},
		"mistyped":       {[]string{swapCase(key)}, "bad_credential", 0},
		"space behind":   {[]string{key + " "}, "bad_credential", 0},
		"NUL":            {[]string{key + "\x00"}, "bad_credential", 0},
		"upper case":     {[]string{strings.ToUpper(key)}, "bad_credential", 0},
		"with a scheme":  {[]string{"Bearer " + key}, "bad_credential", 0},
		"very long":      {[]string{strings.Repeat(key, 1000)}, "bad_credential", 0},
		"Redis key":      {[]string{"*"}, "bad_credential", 0},
		"hash, not key":  {[]string{policy.PlainKeyHash(policy.NewSecret(key))}, "bad_credential", 0},
		"the id, no key": {[]string{key[6:16]}, "bad_credential", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b.asked = 0
			header := http.Header{}
			if c.values != nil {
				header["X-Api-Key"] = c.values
			}
			_, err := a.Authenticate(t.Context(), &policy.Request{Header: header})
			expect(t, err, c.want)
			if b.asked != c.asked {
				t.Errorf("the store was asked %d times", b.asked)
			}
			if err != nil && strings.Contains(err.Error(), key[20:40]) {
				t.Errorf("the key shows in %q", err)
			}
		})
	}
}

// swapCase changes one letter of the secret.
func swapCase(key string) string {
	i := strings.IndexAny(key[20:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") + 20
	return key[:i] + string(key[i]^0x20) + key[i+1:]
}

func TestAPIKeyQuery(t *testing.T) {
	b, _, key := newBooks(t)
	a := newAPIKey(t, APIKeyOptions{Query: "api_key", Keys: b})
	escaped := strings.ReplaceAll(key, "_", "%5F")
	for query, want := range map[string]string{
		"api_key=" + key:                        "ok",
		"a=b&api_key=" + key + "&c":             "ok",
		"api%5fkey=" + escaped:                  "ok",
		"%61pi_key=" + key:                      "ok",
		"&&api_key=" + key + "&":                "ok",
		"":                                      "no_credential",
		"a=b":                                   "no_credential",
		"Api_key=" + key:                        "no_credential",
		"api_key[]=" + key:                      "no_credential",
		"a=api_key=" + key:                      "no_credential",
		"api_key":                               "bad_request",
		"api_key=":                              "bad_request",
		"api_key=" + key + "&api_key=" + key:    "bad_request",
		"api_key=" + key + "&api%5Fkey=x":       "bad_request",
		"api_key=" + key + "&%61pi_key":         "bad_request",
		"api_key=" + key + "&a=%zz":             "bad_request",
		"%zz&api_key=" + key:                    "bad_request",
		"api_key=" + key + "&a=%4":              "bad_request",
		"a=b;c=d":                               "bad_request",
		"a=1;api_key=x&api_key=" + key:          "bad_request",
		"api_key=" + key + "%":                  "bad_request",
		"api_key=" + key + "+":                  "bad_credential",
		"api_key=" + key + "%00":                "bad_credential",
		"api_key=" + url.QueryEscape(key+"; x"): "bad_credential",
	} {
		_, err := a.Authenticate(t.Context(), &policy.Request{RawQuery: query})
		if got := outcome(err); got != want {
			t.Errorf("%q: got %s (%v), want %s", query, got, err, want)
		}
	}
	// Whoever reads no query does not judge it.
	a = newAPIKey(t, APIKeyOptions{Header: "X-Api-Key", Keys: b})
	_, err := a.Authenticate(t.Context(), &policy.Request{RawQuery: "a;%zz", Header: http.Header{"X-Api-Key": {key}}})
	expect(t, err, "ok")
}

func TestAPIKeyCookie(t *testing.T) {
	b, _, key := newBooks(t)
	a := newAPIKey(t, APIKeyOptions{Cookie: "key", Keys: b})
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"good":             {[]string{"key=" + key}, "ok"},
		"among others":     {[]string{"a=b; key=" + key + ";c=\"d\""}, "ok"},
		"spaces":           {[]string{"  key = " + key + "\t; x"}, "ok"},
		"odd neighbours":   {[]string{`session="\x01;;=; \; ä=ö; key=` + key + `; =; =x; key2=y`}, "ok"},
		"absent":           {nil, "no_credential"},
		"other case":       {[]string{"KEY=" + key}, "no_credential"},
		"longer name":      {[]string{"xkey=" + key + "; keyx=" + key}, "no_credential"},
		"in a value":       {[]string{"a=key=" + key}, "no_credential"},
		"other separator":  {[]string{"a=b, key=" + key}, "no_credential"},
		"empty":            {[]string{"key="}, "bad_request"},
		"name only":        {[]string{"a; key; b"}, "bad_request"},
		"twice":            {[]string{"key=" + key + "; key=" + key}, "bad_request"},
		"twice, one empty": {[]string{"key=; key=" + key}, "bad_request"},
		"two lines":        {[]string{"key=" + key, "a=b"}, "bad_request"},
		"quoted":           {[]string{`key="` + key + `"`}, "bad_credential"},
		"escaped":          {[]string{"key=" + strings.ReplaceAll(key, "_", "%5F")}, "bad_credential"},
		"authorization":    {[]string{"Authorization=" + key}, "no_credential"},
	} {
		_, err := a.Authenticate(t.Context(), &policy.Request{Header: http.Header{"Cookie": c.lines}})
		if got := outcome(err); got != c.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, c.want)
		}
	}
}

func TestAPIKeyStoreTrouble(t *testing.T) {
	b, id, key := newBooks(t)
	a := newAPIKey(t, APIKeyOptions{Header: "X-Api-Key", Keys: b})
	r := &policy.Request{Header: http.Header{"X-Api-Key": {key}}}
	b.err = errors.New("connection refused")
	_, err := a.Authenticate(t.Context(), r)
	expect(t, err, "unavailable")
	if !errors.Is(err, b.err) {
		t.Errorf("%v does not wrap the store's error", err)
	}
	// An answer that does not fit the question is trouble too, and lets nobody in.
	b.err = nil
	for _, change := range []func(*policy.Identity){
		func(i *policy.Identity) { i.Consumer.ID = "other" },
		func(i *policy.Identity) { i.Consumer = &policy.Consumer{} },
		func(i *policy.Identity) { i.Consumer = nil },
		func(i *policy.Identity) { i.ConsumerID, i.Consumer.ID = "", "" },
		func(i *policy.Identity) { i.ID = "" },
	} {
		wrong := acme(id)
		change(wrong)
		b.keys[key] = wrong
		_, err = a.Authenticate(t.Context(), r)
		expect(t, err, "unavailable")
	}
}

func TestNewAPIKeyRefuses(t *testing.T) {
	b := &books{}
	for _, o := range []APIKeyOptions{
		{Keys: b},
		{Header: "X-Api-Key", Query: "k", Keys: b},
		{Query: "k", Cookie: "k", Keys: b},
		{Header: "X-Api-Key"},
		{Header: "Authorization", Keys: b},
		{Header: "Cookie", Keys: b},
		{Header: "X_Api_Key", Keys: b},
		{Header: "X-Consumer-Id", Keys: b},
		{Header: "X Key", Keys: b},
		{Cookie: "a b", Keys: b},
		{Cookie: "a=b", Keys: b},
	} {
		if a, err := NewAPIKey(o); err == nil || a != nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
