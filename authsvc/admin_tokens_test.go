package authsvc

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

func TestTokensAreRevoked(t *testing.T) {
	memory := store.NewMemory()
	memory.Now = clock
	var announced []string
	a := administrate(t, func(api *Admin) {
		api.Revocations = memory
		api.Announce = func(kind, id string) error {
			announced = append(announced, kind+" "+id)
			return nil
		}
	})
	token := store.TokenRef{Issuer: issuer, JTI: "t1", Subject: "alice", Session: "s1", IssuedAt: clock()}
	for body, is := range map[string]func(*store.TokenRef){
		`"jti":"t2"`:     func(t *store.TokenRef) { t.JTI = "t2" },
		`"session":"s2"`: func(t *store.TokenRef) { t.Session = "s2" },
		`"subject":"bob"`: func(t *store.TokenRef) {
			t.Subject = "bob" // issued until now
		},
		`"subject":"carol","issued_before":"2026-03-01T12:04:00Z"`: func(t *store.TokenRef) {
			t.Subject, t.IssuedAt = "carol", clock().Add(4*time.Minute)
		},
		`"jti":"t3","until":"2027-03-01T12:00:00Z"`: func(t *store.TokenRef) { t.JTI = "t3" },
	} {
		named := token
		is(&named)
		for _, revoked := range []bool{false, true} {
			if got, err := memory.Revoked(t.Context(), named); got != revoked || err != nil {
				t.Errorf("%s: revoked is %v (%v), want %v", body, got, err, revoked)
			}
			if !revoked {
				a.want(t, http.StatusNoContent, "POST /v1/tokens/revoke", `{"issuer":"`+issuer+`",`+body+`}`)
			}
		}
	}
	if got, _ := memory.Revoked(t.Context(), token); got {
		t.Error("a token that nobody named is revoked")
	}
	if len(announced) != 5 || !strings.HasPrefix(announced[0], "token ") {
		t.Errorf("announced %q", announced)
	}
}

func TestRevocationsAreRefusedWithWhatToChange(t *testing.T) {
	a := administrate(t, func(api *Admin) {
		api.Issuers = append(api.Issuers, "https://other.example.com")
	})
	for body, detail := range map[string]string{
		`{}`:                                     "exactly one of jti, subject and session",
		`{"issuer":"@"}`:                         "exactly one of jti, subject and session",
		`{"issuer":"@","jti":"a","session":"b"}`: "exactly one of jti, subject and session",
		`{"issuer":"@","jti":"a","issued_before":"2026-03-01T00:00:00Z"}`:           "issued_before goes with subject",
		`{"issuer":"@","jti":"a","until":"2026-03-01T12:00:00Z"}`:                   "until is when",
		`{"issuer":"@","jti":"a","until":"2027-03-03T12:00:00Z"}`:                   "within a year",
		`{"issuer":"@","subject":"a","issued_before":"2026-03-01T12:05:01Z"}`:       "yet to be issued",
		`{"issuer":"@/","jti":"a"}`:                                                 issuer + " or https://other.example.com",
		`{"issuer":"@","jti":7}`:                                                    "the body is not what this call takes",
		`{"issuer":"@","token":"a.b.c"}`:                                            "the body is not what this call takes",
		`{"issuer":"@","jti":"` + strings.Repeat("x", store.MaxTokenClaim+1) + `"}`: "jti: longer than",
	} {
		problem := a.want(t, http.StatusBadRequest, "POST /v1/tokens/revoke", strings.ReplaceAll(body, "@", issuer))
		if text, _ := problem["detail"].(string); !strings.Contains(text, detail) {
			t.Errorf("%.100s: %q, want %q", body, text, detail)
		}
	}
	a = administrate(t, func(api *Admin) { api.Issuers = nil })
	problem := a.want(t, http.StatusBadRequest, "POST /v1/tokens/revoke", `{"issuer":"`+issuer+`","jti":"a"}`)
	if text, _ := problem["detail"].(string); !strings.Contains(text, "no authenticator takes tokens") {
		t.Errorf("without issuers: %q", text)
	}
}

// It is done when it was announced, and may be done again.
func TestARevocationThatIsNotAnnouncedFails(t *testing.T) {
	a := administrate(t, func(api *Admin) { api.Announce = func(string, string) error { return errors.New("no stream") } })
	a.want(t, http.StatusServiceUnavailable, "POST /v1/tokens/revoke", `{"issuer":"`+issuer+`","jti":"a"}`)
	if !strings.Contains(a.logged.String(), "not announced: no stream") {
		t.Errorf("the log says nothing of it: %s", a.logged)
	}
}
