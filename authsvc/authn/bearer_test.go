package authn

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

func TestBearerToken(t *testing.T) {
	for value, want := range map[string]string{
		"Bearer abc":                   "ok abc",
		"bearer abc":                   "ok abc",
		"BEARER abc":                   "ok abc",
		"Bearer a-._~+/9==":            "ok a-._~+/9==",
		"":                             "no_credential",
		"Basic YTpi":                   "no_credential",
		"BearerX abc":                  "no_credential",
		"Bearer-Token abc":             "no_credential",
		"DPoP abc":                     "no_credential",
		`Digest username="a", qop=b`:   "no_credential",
		"Bearer":                       "bad_request",
		"Bearer ":                      "bad_request",
		"Bearer  abc":                  "bad_request",
		"Bearer\tabc":                  "bad_request",
		"Bearer abc def":               "bad_request",
		"Bearer abc ":                  "bad_request",
		"Bearer abc,def":               "bad_request",
		"Bearer abc, Basic YTpi":       "bad_request",
		"Bearer abc, Bearer def":       "bad_request",
		"Basic YTpi, Bearer abc":       "bad_request",
		"Basic YTpi,\tbearer abc":      "bad_request",
		"Basic YTpi,Bearer":            "bad_request",
		"Bearer,abc":                   "bad_request",
		"Bearer=abc":                   "bad_request",
		"Bearer ab=c":                  "bad_request",
		"Bearer =":                     "bad_request",
		"Bearer a\x00b":                "bad_request",
		"Bearer \u00e4bc":              "bad_request",
		" Bearer abc":                  "bad_request",
		"\tBearer abc":                 "bad_request",
		"Bearer token=\"abc\"":         "bad_request",
		"Bearer " + "a b":              "bad_request",
		"Negotiate abc, NTLM def, x=1": "no_credential",
	} {
		r := &policy.Request{Header: http.Header{"Authorization": {value}}}
		token, err := bearerToken(r)
		got := outcome(err)
		if err == nil {
			got += " " + token
		}
		if got != want {
			t.Errorf("%q: got %s (%v), want %s", value, got, err, want)
		}
	}
	_, err := bearerToken(&policy.Request{Header: http.Header{"Authorization": {"Bearer a", "Bearer a"}}})
	expect(t, err, "bad_request")
	_, err = bearerToken(&policy.Request{Header: http.Header{"Cookie": {"Authorization=Bearer a"}}})
	expect(t, err, "no_credential")
}

// FuzzBearer: a token that is accepted is the whole of the header behind the scheme, and
// nothing that begins with the scheme is taken for another.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer a==", "Basic a, Bearer b", "Bearer  x", "Bearer", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" {
			return
		}
		token, err := parseBearer(value)
		lower := strings.ToLower(value)
		switch {
		case err == nil:
			if lower != "bearer "+strings.ToLower(token) || strings.ContainsAny(token, " ,;\t\"") || token == "" {
				t.Fatalf("%q gives %q", value, token)
			}
		case errors.Is(err, errNotBearer):
			if strings.HasPrefix(lower, "bearer ") || lower == "bearer" || strings.Contains(lower, ",bearer ") {
				t.Fatalf("%q is taken for another scheme", value)
			}
		}
	})
}
