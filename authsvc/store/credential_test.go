package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

func TestIdentityOfCredential(t *testing.T) {
	expires := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &store.Credential{
		Key:      store.Key{ID: "k1", Consumer: "acme", Name: "laptop", Scopes: []string{"a:read", ""}, ExpiresAt: expires},
		Consumer: policy.Consumer{ID: "acme", Username: "Acme Ltd", CustomID: "42", Groups: []string{"partners", "staff"}, Disabled: true},
	}
	consumer := c.Consumer
	want := &policy.Identity{
		Ref: policy.Ref{Kind: "key", ID: "k1"}, Credential: "k1", Scopes: []string{"a:read", ""}, Expires: expires,
		ConsumerID: "acme", Consumer: &consumer,
	}
	got := c.Identity()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The scopes lie before the groups, and must not grow into them.
	_ = append(got.Scopes, "x")
	if got.Consumer.Groups[0] != "partners" {
		t.Errorf("groups are %q", got.Consumer.Groups)
	}
}
