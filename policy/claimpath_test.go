package policy

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClaimPathFinds(t *testing.T) {
	var claims map[string]any
	text := `{"tenant":"t1","realm_access":{"roles":["a","b"]},"https://x.example/roles":"r","a.b":1,"a":{"b":2,"~":3},"":4,"none":null}`
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"tenant": "t1", "realm_access.roles": []any{"a", "b"}, "a.b": 2.0, "/a.b": 1.0, "/a/b": 2.0, "/a/~0": 3.0,
		"/https:~1~1x.example~1roles": "r", "/realm_access/roles/1": "b", "/": 4.0, "none": nil,
	} {
		p, err := ParseClaimPath(path)
		if err != nil || p.String() != path || p.IsZero() {
			t.Fatalf("%s: %v", path, err)
		}
		got, found, err := p.Find(claims)
		if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
			t.Errorf("%s: found %v, %v\n%s", path, found, err, diff)
		}
	}
	for _, path := range []string{"missing", "a.c", "/realm_access/roles/2", "/realm_access/roles/01", "/realm_access/roles/-", "/realm_access/roles/-1", "Tenant"} {
		p, err := ParseClaimPath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, found, err := p.Find(claims); found || got != nil || err != nil {
			t.Errorf("%s: %v, %v, %v", path, got, found, err)
		}
	}
	for _, path := range []string{"tenant.x", "/tenant/0", "realm_access.roles.0", "none.x"} {
		p, err := ParseClaimPath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, found, err := p.Find(claims); found || got != nil || !errors.Is(err, ErrOtherType) {
			t.Errorf("%s: %v, %v, %v", path, got, found, err)
		}
	}
}

func TestClaimPathRefuses(t *testing.T) {
	for path, says := range map[string]string{
		"": "empty element", ".": "empty element", "a..b": "empty element", "a.": "empty element",
		"a/b": "JSON pointer: /a~1b", "https://x": "JSON pointer", "/a~2": "RFC 6901", "/~": "RFC 6901",
	} {
		p, err := ParseClaimPath(path)
		wantError(t, err, says)
		if !p.IsZero() {
			t.Errorf("%q: and yet it is a path", path)
		}
	}
}
