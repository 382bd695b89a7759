package authn

import (
	"reflect"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/strictjson"
	"github.com/stile-gate/stile/policy"
)

// TestDates covers exp, nbf and iat in every form, before and after the limit.
func TestDates(t *testing.T) {
	f := newFixture(t, nil, edSigner("k"))
	key := edSigner("k")
	f.publish(key)
	now := f.Now().Unix()
	at := func(exp string) string {
		return `{"iss":"` + f.URL + `","aud":"orders","sub":"a","exp":` + exp + `}`
	}
	with := func(name string, value any) string { return f.raw(map[string]any{name: value}) }
	for name, c := range map[string]struct{ claims, want string }{
		"missing":              {with("exp", nil), "bad_credential"},
		"null":                 {at(`null`), "bad_credential"},
		"string":               {at(`"1900000000"`), "bad_credential"},
		"array":                {at(`[1900000000]`), "bad_credential"},
		"true":                 {at(`true`), "bad_credential"},
		"future":               {at(`1900000000`), "ok"},
		"fraction":             {at(`1900000000.5`), "ok"},
		"exponent":             {at(`1.9e9`), "ok"},
		"last second":          {at(`253402300799`), "ok"},
		"beyond":               {at(`253402300800`), "bad_credential"},
		"beyond by a fraction": {at(`253402300799.5`), "bad_credential"},
		"milliseconds":         {at(`1900000000000`), "bad_credential"},
		"1e400":                {at(`1e400`), "bad_credential"},
		"huge exponent":        {at(`1e999999999`), "bad_credential"},
		"int64 overflow":       {at(`18446744075609551616`), "bad_credential"},
		"negative":             {at(`-1`), "bad_credential"},
		"minus 1e400":          {at(`-1e400`), "bad_credential"},
		"zero":                 {at(`0`), "expired"},
		"minus zero":           {at(`-0`), "expired"},
		"tiny":                 {at(`1e-400`), "expired"},
		"now":                  {with("exp", now), "expired"},
		"now and a bit":        {with("exp", float64(now)+0.5), "ok"},
		"a second on":          {with("exp", now+1), "ok"},
		"past":                 {with("exp", now-1), "expired"},
		"variant":              {at(`1900000000,"Exp":1`), "bad_credential"},

		"nbf at the skew":     {with("nbf", now+60), "ok"},
		"nbf beyond":          {with("nbf", now+61), "bad_credential"},
		"nbf beyond a bit":    {with("nbf", float64(now)+60.5), "bad_credential"},
		"nbf string":          {with("nbf", "1"), "bad_credential"},
		"nbf negative":        {with("nbf", -5), "bad_credential"},
		"iat at the skew":     {with("iat", now+60), "ok"},
		"iat beyond":          {with("iat", now+61), "bad_credential"},
		"iat string":          {with("iat", "1"), "bad_credential"},
		"iat absent":          {with("iat", nil), "ok"},
		"expired, nbf beyond": {f.raw(map[string]any{"exp": now, "nbf": now + 100}), "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.present(key.forge(t, `{"alg":"EdDSA","kid":"k"}`, c.claims))
			expect(t, err, c.want)
		})
	}
}

// TestClaimForms covers the claims that say who and for whom.
func TestClaimForms(t *testing.T) {
	f := newFixture(t, nil, edSigner("k"))
	key := edSigner("k")
	f.publish(key)
	long := string(make([]byte, 300))
	for name, c := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"good":                {nil, "ok"},
		"aud array":           {map[string]any{"aud": []string{"x", "orders"}}, "ok"},
		"aud missing":         {map[string]any{"aud": nil}, "bad_credential"},
		"aud empty array":     {map[string]any{"aud": []string{}}, "bad_credential"},
		"aud other":           {map[string]any{"aud": "orders.evil"}, "bad_credential"},
		"aud part of ours":    {map[string]any{"aud": "order"}, "bad_credential"},
		"aud case":            {map[string]any{"aud": "Orders"}, "bad_credential"},
		"aud joined":          {map[string]any{"aud": "x orders"}, "bad_credential"},
		"aud mixed":           {map[string]any{"aud": []any{"orders", 1}}, "bad_credential"},
		"aud object":          {map[string]any{"aud": map[string]any{"orders": true}}, "bad_credential"},
		"aud number":          {map[string]any{"aud": 1}, "bad_credential"},
		"iss missing":         {map[string]any{"iss": nil}, "bad_credential"},
		"iss array":           {map[string]any{"iss": []string{f.URL}}, "bad_credential"},
		"iss other":           {map[string]any{"iss": "https://evil.example"}, "not_mine"},
		"iss with a slash":    {map[string]any{"iss": f.URL + "/"}, "not_mine"},
		"ISS beside iss":      {map[string]any{"ISS": "https://evil.example"}, "bad_credential"},
		"Aud beside aud":      {map[string]any{"Aud": "evil"}, "bad_credential"},
		"SUB alone":           {map[string]any{"sub": nil, "SUB": "root", "client_id": "c"}, "bad_credential"},
		"long s in ſub":       {map[string]any{"ſub": "root"}, "bad_credential"},
		"NBF alone":           {map[string]any{"NBF": 1}, "bad_credential"},
		"Groups alone":        {map[string]any{"Groups": []string{"admin"}}, "bad_credential"},
		"SCP alone":           {map[string]any{"SCP": "admin"}, "bad_credential"},
		"sub number":          {map[string]any{"sub": 7}, "bad_credential"},
		"sub empty":           {map[string]any{"sub": ""}, "bad_credential"},
		"sub too long":        {map[string]any{"sub": long}, "bad_credential"},
		"sub of 255":          {map[string]any{"sub": long[:255]}, "ok"},
		"nobody":              {map[string]any{"sub": nil}, "bad_credential"},
		"client":              {map[string]any{"sub": nil, "client_id": "c"}, "ok"},
		"azp":                 {map[string]any{"sub": nil, "azp": "c"}, "ok"},
		"groups object":       {map[string]any{"groups": map[string]any{}}, "bad_credential"},
		"groups number":       {map[string]any{"groups": []any{"a", 1}}, "bad_credential"},
		"groups null":         {map[string]any{"groups": []any{nil}}, "bad_credential"},
		"scope number":        {map[string]any{"scope": 1}, "bad_credential"},
		"scope with a space":  {map[string]any{"scope": []string{"read admin"}}, "bad_credential"},
		"scope with a tab":    {map[string]any{"scope": "read\tadmin"}, "bad_credential"},
		"scope with a quote":  {map[string]any{"scope": `read"`}, "bad_credential"},
		"nonce number":        {map[string]any{"nonce": 5}, "bad_credential"},
		"distributed, broken": {map[string]any{"_claim_names": map[string]string{"groups": "src1"}}, "bad_credential"},
		"distributed": {map[string]any{
			"_claim_names":   map[string]string{"groups": "src1"},
			"_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "http://169.254.169.254/"}},
		}, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.present(f.token(t, key, c.changes))
			expect(t, err, c.want)
		})
	}
}

func TestIdentity(t *testing.T) {
	key := edSigner("k")
	f := newFixture(t, func(o *JWTOptions) {
		o.Claims = ClaimPaths{Consumer: "tenant.id", Groups: "/https:~1~1x.example~1roles"}
	}, key)
	exp := f.Now().Add(time.Minute)
	identity, err := f.present(f.token(t, key, map[string]any{
		"exp": exp.Unix(), "tenant": map[string]string{"id": "acme"}, "scp": []string{"a:read", "b"},
		"https://x.example/roles": []string{"staff", "", "ops"}, "level": 3,
	}))
	if err != nil {
		t.Fatal(err)
	}
	claims := identity.Claims
	want := &policy.Identity{
		Ref:        policy.Ref{Kind: "jwt", ID: f.URL + "|alice"},
		Credential: "alice", Groups: []string{"staff", "ops"}, Scopes: []string{"a:read", "b"},
		Expires: exp, Claims: claims, ConsumerID: "acme",
	}
	if !reflect.DeepEqual(identity, want) {
		t.Errorf("got %+v\nwant %+v", identity, want)
	}
	if len(claims) != 9 {
		t.Errorf("claims are %v", claims)
	}
	// A client is not the subject of the same name.
	client, err := f.present(f.token(t, key, map[string]any{
		"sub": nil, "client_id": "alice", "tenant": map[string]string{"id": "acme"}, "scope": "x  y ",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if client.Ref == identity.Ref || client.Credential != "alice" || client.Groups != nil ||
		!reflect.DeepEqual(client.Scopes, []string{"x", "y"}) {
		t.Errorf("client is %+v", client)
	}
}

func TestConsumerClaim(t *testing.T) {
	key := edSigner("k")
	f := newFixture(t, func(o *JWTOptions) { o.Claims.Consumer = "/tenant/ids/0" }, key)
	tenant := func(ids any) map[string]any { return map[string]any{"tenant": map[string]any{"ids": ids}} }
	for name, c := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"there":              {tenant([]string{"acme"}), "ok"},
		"absent":             {nil, "forbidden"},
		"absent in an array": {tenant([]string{}), "forbidden"},
		"null":               {tenant([]any{nil}), "bad_credential"},
		"number":             {tenant([]any{5}), "bad_credential"},
		"array":              {tenant([]any{[]string{"acme"}}), "bad_credential"},
		"parent is text":     {map[string]any{"tenant": "acme"}, "bad_credential"},
		"empty":              {tenant([]string{""}), "forbidden"},
		"store key":          {tenant([]string{"acme}:keys"}), "forbidden"},
		"glob":               {tenant([]string{"*"}), "forbidden"},
		"newline":            {tenant([]string{"a\r\nX-Role: admin"}), "forbidden"},
		"variant":            {map[string]any{"Tenant": "acme"}, "bad_credential"},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := f.present(f.token(t, key, c.changes))
			expect(t, err, c.want)
			if err == nil && identity.ConsumerID != "acme" {
				t.Errorf("consumer is %q", identity.ConsumerID)
			}
		})
	}
}

func TestClaimPaths(t *testing.T) {
	for text, ok := range map[string]bool{
		"groups": true, "realm_access.roles": true, "/a/b": true, "/a~1b/c~0d": true, "/": true, "/a.b": true,
		"a..b": false, ".a": false, "a.": false, "": false, "/a~2b": false, "/a~": false,
		"https://x.example/roles": false, "a/b": false,
	} {
		path, err := policy.ParseClaimPath(text)
		if (err == nil) != ok {
			t.Errorf("%q: %v, %v", text, path, err)
		}
	}
	claims, err := strictjson.Object([]byte(`{"a":{"b":["x","y"],"c/d":{"~":1}},"":2}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"/a/b/1": "y", "/a/b/2": "absent", "/a/b/01": "absent", "/a/b/-": "absent", "/a/b/-1": "absent",
		"/a/b/+1": "absent", "a.b.1": "other", "/a/b/1/z": "other", "/a/x/y": "absent", "a.b.c.d": "other",
		"/q": "absent",
	} {
		path, err := policy.ParseClaimPath(text)
		if err != nil {
			t.Fatal(err)
		}
		value, found, err := path.Find(claims)
		got := "absent"
		switch {
		case err != nil:
			got = "other"
		case found:
			got = value.(string)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
