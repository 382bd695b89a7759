package policy

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	apiKeyChallenge = `ApiKey realm="stile"`
	bearerChallenge = `Bearer realm="stile"`
)

func TestChallenges(t *testing.T) {
	bad := Refuse(BadCredential, "signature does not verify")
	keyless, tokenless := says("k", APIKey, nil, ErrNoCredential), says("t", Bearer, nil, ErrNoCredential)
	scoped := Require{Scopes: []string{"orders:read", "orders:write"}}
	for _, tc := range []struct {
		why   string
		route Route
		want  []string
	}{
		{"a key is asked for", protected(keyless), []string{apiKeyChallenge}},
		{"a token is asked for, without an error where none was presented", protected(tokenless), []string{bearerChallenge}},
		{"both are, in the order of the route", protected(tokenless, keyless), []string{bearerChallenge, apiKeyChallenge}},
		{"a scheme is named once", protected(keyless, keyless, tokenless, tokenless), []string{apiKeyChallenge, bearerChallenge}},
		{"a bad key", protected(says("k", APIKey, nil, bad)), []string{apiKeyChallenge}},
		{"a bad token", protected(says("t", Bearer, nil, bad)), []string{bearerChallenge + `, error="invalid_token"`}},
		{"a token that nobody knows", protected(says("t", Bearer, nil, ErrNotMine)), []string{bearerChallenge + `, error="invalid_token"`}},
		{"an expired token", protected(says("t", Bearer, nil, Refuse(Expired, "yesterday"))), []string{bearerChallenge + `, error="invalid_token", error_description="The token has expired"`}},
		{"a token without a scope", demanding(scoped, says("t", Bearer, key(), nil)), []string{bearerChallenge + `, error="insufficient_scope", scope="orders:read orders:write"`}},
	} {
		t.Run(tc.why, func(t *testing.T) {
			d := answer(t, tc.route)
			if diff := cmp.Diff(tc.want, d.Challenges); diff != "" {
				t.Error(diff)
			}
			h := http.Header{}
			d.RefusalHeaders(h)
			if diff := cmp.Diff(tc.want, h["Www-Authenticate"]); diff != "" {
				t.Errorf("the client gets %s", diff)
			}
		})
	}
}

// RFC 6750 §3.1: no error code for who presented no token. A key that is bad is none.
func TestABadKeySaysNothingOfATokenThatNobodySent(t *testing.T) {
	for why, methods := range map[string][]NamedAuthenticator{
		"the key comes first":   {says("k", APIKey, nil, Refuse(BadCredential, "no such key")), says("t", Bearer, nil, ErrNoCredential)},
		"the token comes first": {says("t", Bearer, nil, ErrNoCredential), says("k", APIKey, nil, Refuse(Expired, "yesterday"))},
	} {
		for _, c := range answer(t, protected(methods...)).Challenges {
			if strings.HasPrefix(c, "Bearer") && c != bearerChallenge {
				t.Errorf("%s: %s", why, c)
			}
		}
	}
}

// The scopes stand in a quoted string. One with a quote in it would end it.
func TestAScopeCannotBreakOutOfAChallenge(t *testing.T) {
	route := demanding(Require{Scopes: []string{`a", realm="evil`}}, says("t", Bearer, key(), nil))
	if _, errs := NewEngine(Options{Routes: []Route{route}}); len(errs) > 0 {
		return // not a scope-token of RFC 6749 §3.3, so it need not load
	}
	for _, c := range answer(t, route).Challenges {
		if strings.Contains(c, `realm="evil`) {
			t.Error(c)
		}
	}
}

func TestWhatAClientLearnsOfARefusal(t *testing.T) {
	const secretDetail = "the key of acme was revoked by bob"
	for reason, want := range map[Reason]struct{ challenged, retry bool }{
		NoCredential: {challenged: true}, BadCredential: {challenged: true}, Expired: {challenged: true}, MissingScope: {challenged: true},
		Forbidden: {}, NoRoute: {}, Unavailable: {retry: true},
	} {
		t.Run(reason.String(), func(t *testing.T) {
			d := answer(t, protected(says("t", Bearer, nil, Refuse(reason, secretDetail))))
			w := httptest.NewRecorder()
			d.WriteRefusal(w)
			h := w.Header()
			if w.Code != reason.Status() || h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v", w.Code, h)
			}
			if got := h["Www-Authenticate"] != nil; got != want.challenged {
				t.Errorf("challenged: %t, want %t", got, want.challenged)
			}
			if got := h.Get("Retry-After") != ""; got != want.retry {
				t.Errorf("told to retry: %t, want %t", got, want.retry)
			}
			if strings.Contains(w.Body.String(), "acme") || strings.Contains(strings.Join(h["Www-Authenticate"], ""), "acme") {
				t.Errorf("the client learns why: %s", w.Body)
			}
			var body map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{
				"type": "urn:stile:" + reason.String(), "title": reason.Title(), "status": float64(reason.Status()), "request_id": d.RequestID,
			}, body); diff != "" {
				t.Error(diff)
			}
			if d.RequestID == "" || h.Get(HeaderRequestID) != d.RequestID {
				t.Errorf("request id %q, in the header %q", d.RequestID, h.Get(HeaderRequestID))
			}
		})
	}
}

func TestAClientLearnsWhatIsMalformed(t *testing.T) {
	d := answer(t, protected(says("t", Bearer, key(), nil)), requestTarget("/a/../b"))
	w := httptest.NewRecorder()
	d.WriteRefusal(w)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), ". or ..") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestTheZeroDecisionIsWrittenAsARefusal(t *testing.T) {
	w := httptest.NewRecorder()
	new(Decision).WriteRefusal(w)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
