package authsvc

import (
	"fmt"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// importedLine is the body of a single call, and what that answers in its turn.
type importedLine struct {
	kind, body string
	status     int
}

// text has the kind at one of three places.
func (l importedLine) text(place int) string {
	kind := fmt.Sprintf(`"kind" : %q`, l.kind)
	inner := strings.TrimSuffix(strings.TrimPrefix(l.body, "{"), "}")
	first, rest, several := strings.Cut(inner, `,"`)
	switch {
	case inner == "":
		return "{" + kind + "}"
	case place == 0:
		return "{ " + kind + " ," + inner + "}"
	case place == 1 && several:
		return "{" + first + ", " + kind + ` , "` + rest + "}"
	}
	return "{" + inner + " , " + kind + " }\r"
}

var (
	knownPepper = policy.Pepper{Version: 2, Secret: policy.NewSecret("sixteen-bytes-or-more")}
	olderPepper = policy.Pepper{Version: 1, Secret: policy.NewSecret("sixteen-bytes-of-old")}
)

// importLinesOfAllKinds is everything that the single calls take and refuse, one upon the other.
func importLinesOfAllKinds() []importedLine {
	hash := func(text string) string { return policy.PlainKeyHash(policy.NewSecret(text)) }
	_, ours := policy.KeyFormat{}.New()
	return []importedLine{
		{"key", `{"consumer":"acme","id":"early","hash":"` + hash("key 1") + `"}`, 404}, // before its consumer
		{"consumer", `{"id":"acme","username":"Acme Ltd","custom_id":"42","groups":["partners"]}`, 201},
		{"consumer", `{"id":"acme"}`, 409},
		{"consumer", `{"id":"other","custom_id":"42"}`, 409},
		{"consumer", `{"id":"other","custom_id":"43","disabled":true}`, 201},
		{"consumer", `{"id":"third","custom_id":"44"}`, 201},
		{"consumer", `{"id":"fourth","custom_id":"44"}`, 409},
		{"key", `{"consumer":"fourth","hash":"` + hash("orphan") + `"}`, 404},
		{"consumer", `{"id":"declared"}`, 409},
		{"consumer", `{"id":"x","version":1}`, 400},
		{"consumer", `{"id":"x","created":"2020-01-01T00:00:00Z"}`, 400},
		{"consumer", `{"id":7}`, 400},
		{"consumer", `{"id":"x","username":"` + ours.Reveal() + `"}`, 400},
		{"consumer", `{"id":"` + ours.Reveal() + `"}`, 400},
		{"consumer", `{"id":"x","groups":["a,b","a,b"]}`, 400},
		{"consumer", `{"id":"x","groups":["a"],"Groups":["b"]}`, 400},
		{"consumer", `{"id":"x","username":"\ud800"}`, 400},
		{"consumer", "{\"id\":\"x\",\"username\":\"\xff\"}", 400},
		{"consumer", `{"id":"x","username":"` + strings.Repeat("y", 70_000) + `"}`, 413},
		{"consumer", `{}`, 400},
		{"key", `{"consumer":"acme","id":"early","hash":"` + hash("key 1") + `"}`, 201},
		{"key", `{"consumer":"acme","id":"early","hash":"` + hash("another") + `"}`, 409},
		{"key", `{"consumer":"acme","id":"late","hash":"` + hash("key 1") + `"}`, 409},
		{"key", `{"consumer":"acme","hash":"` + hash("key 1") + `"}`, 409},
		{"key", `{"consumer":"acme","hash":"` + hash("second") + `","name":"n","scopes":["a:b"],"networks":["192.0.2.0/24"]}`, 201},
		{"key", `{"consumer":"acme","opaque":true,"key":"of-another-system"}`, 201},
		{"key", `{"consumer":"acme","opaque":true,"key":"of-another-system"}`, 409},
		{"key", `{"consumer":"acme","opaque":true,"key":"of-another-system-2","name":"of-another-system-2"}`, 400},
		{"key", `{"consumer":"acme","key":"of-another-system-3"}`, 400},
		{"key", `{"consumer":"acme","opaque":true,"key":"` + ours.Reveal() + `"}`, 400},
		{"key", `{"consumer":"acme","opaque":true,"key":"short"}`, 400},
		{"key", `{"consumer":"acme","opaque":true,"key":"of-another-system-4","hash":"` + hash("x") + `"}`, 400},
		{"key", `{"consumer":"acme","hash":"` + knownPepper.HashKey(policy.NewSecret("p2")) + `"}`, 201},
		{"key", `{"consumer":"acme","hash":"` + olderPepper.HashKey(policy.NewSecret("p1")) + `"}`, 201},
		{"key", `{"consumer":"acme","hash":"hmac-sha256:3:` + strings.Repeat("ab", 32) + `"}`, 400},
		{"key", `{"consumer":"acme","hash":"sha256:zz"}`, 400},
		{"key", `{"consumer":"acme","id":"the-key-itself","hash":"` + hash("the-key-itself") + `"}`, 400},
		{"key", `{"consumer":"acme","name":"the key itself","hash":"` + knownPepper.HashKey(policy.NewSecret("the key itself")) + `"}`, 400},
		{"key", `{"consumer":"acme","hash":"` + hash("x") + `","routes":["orders"],"limits":["burst"]}`, 201},
		{"key", `{"consumer":"acme","hash":"` + hash("y") + `","routes":["none"],"limits":["none"]}`, 400},
		{"key", `{"consumer":"acme","hash":"` + hash("y") + `","expires_at":"2026-03-01T12:00:00Z"}`, 400},
		{"key", `{"consumer":"acme","hash":"` + hash("y") + `","expires_at":"0001-01-01T00:00:00Z"}`, 400},
		{"key", `{"consumer":"acme","hash":"` + hash("y") + `","not_before":"2030-01-01T00:00:00Z","expires_at":"2029-01-01T00:00:00Z"}`, 400},
		{"key", `{"consumer":"acme","hash":"` + hash("y") + `","networks":["192.0.2.1/24"]}`, 400},
		{"key", `{"consumer":"acme","hash":"` + hash("y") + `","colour":"red"}`, 400},
		{"key", `{"consumer":"acme","id":"a/b","hash":"` + hash("y") + `"}`, 400},
		{"key", `{"consumer":"declared","hash":"` + hash("y") + `"}`, 409},
		{"key", `{"consumer":"acme","id":"dk1","hash":"` + hash("y") + `"}`, 409},
		{"key", `{"consumer":"nobody","hash":"` + hash("y") + `"}`, 404},
		{"key", `{"hash":"` + hash("y") + `"}`, 400},
		{"consumer", `{"id":"last"}`, 201},
	}
}
