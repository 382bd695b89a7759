package authsvc

import (
	"net/http"
	"testing"
)

// What decodes to less than was sent is refused: a bound would be lost without a word.
func TestNothingIsLostInABody(t *testing.T) {
	a := administrate(t, nil)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	id := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme","networks":["192.0.2.0/24"]}`)["id"].(string)
	for _, call := range [][2]string{
		{"POST /v1/keys", `{"consumer":"acme","expires_at":"0001-01-01T00:00:00Z"}`},
		{"POST /v1/keys", `{"consumer":"acme","expires_at":"0001-01-01T01:00:00+01:00"}`},
		{"PUT /v1/keys/" + id, `{"expires_at":"0001-01-01T00:00:00Z"}`},
		{"PUT /v1/keys/" + id, ` null `},
		{"POST /v1/keys", `null`},
	} {
		a.want(t, http.StatusBadRequest, call[0], call[1])
	}
	if networks, _ := a.want(t, http.StatusOK, "GET /v1/keys/"+id, "")["networks"].([]any); len(networks) != 1 {
		t.Errorf("networks are %v", networks)
	}
}
