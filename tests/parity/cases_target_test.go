package parity

import (
	"strings"

	"github.com/stile-gate/stile/policy"
)

// Why some targets are no decision on the gateway's own socket. The edges write them into
// a header, where HTTP does not mind.
var (
	badEscape   = map[string]string{gatewaySkin: "net/http answers 400 to a request line with a broken % escape"}
	badLine     = map[string]string{gatewaySkin: "net/http answers 400 to a request line with a space or no slash in it"}
	controlByte = map[string]string{"*": "net/http answers 400 to a control byte in a request line or a header"}
)

// targetCases are paths that are what they seem, however they are written.
func targetCases() []call {
	return []call{
		{target: "/"},
		{target: "/open/"},
		{target: "/open/x"},
		{target: "/open/x/"},
		{target: "/open", want: policy.NoRoute}, // no redirect: it is not /open/
		{target: "/OPEN/x", want: policy.NoRoute},
		{target: "/nowhere", want: policy.NoRoute},
		{target: "/openx", want: policy.NoRoute},
		{target: "/open/%78", path: "/open/x"},
		{target: "/%6fpen/%7E", path: "/open/~"},
		{target: "/open/a%20b"},
		{target: "/open/caf%c3%a9", path: "/open/caf%C3%A9"},
		{target: "/open/!$&'()*+,:=@"},
		{target: "/open/%21%40", path: "/open/%21%40"},
		{target: "/@me/x"},
		{target: "/@you/x", want: policy.NoRoute},
		{target: "/open/..."},
		{target: "/open/.x/x."},
		{target: "/open/x?"},
		{target: "/open/x??"},
		{target: "/open/x?a=%zz&role=admin"},
		{target: "/open/x?a;b"},
		{target: "/open/x?/../v1/admin"},
		{target: "/open/x?" + strings.Repeat("a=1&", 1900)},
		{target: "/open/x?caf\xc3\xa9"},
		{target: "/v1/x?/open/x", want: policy.NoCredential},
		{target: "/v1/x?X-Forwarded-Uri=/open/x", want: policy.NoCredential},
		{target: "/v1/%61dmin/x", want: policy.NoCredential},
		{target: "/files/a%2fb", path: "/files/a%2Fb"},
		{target: "/files/a", want: policy.OK},
		{target: "/data/100%25"},
		{target: "/data/a;v=1/b%3Bc", path: "/data/a;v=1/b%3Bc"},
		{target: "/data/a%3fb%23c", path: "/data/a%3Fb%23c"},
		{target: "/data/%2541", path: "/data/%2541"},
	}
}

// ambiguousTargetCases are targets that two programs could read differently.
func ambiguousTargetCases() []call {
	refused := []call{
		{target: "/open/../v1/admin/x"},
		{target: "/open/%2e%2e/v1/x"},
		{target: "/open/.%2E/v1/x"},
		{target: "/open/./x"},
		{target: "/open/%2e"},
		{target: "/.."},
		{target: "//open/x"},
		{target: "//evil.test/open/x"},
		{target: "/open//x"},
		{target: "/open/x//"},
		{target: "/open/..%2fv1"},
		{target: "/open/a%2Fb"},
		{target: "/open%2fx"},
		{target: "/v1%2fadmin%2fx"},
		{target: `/open/a\b`},
		{target: `/\open/x`},
		{target: "/open/a%5Cb"},
		{target: "/open/a%5cb"},
		{target: "/open/a;b"},
		{target: "/open/..;/v1"},
		{target: "/open;/x"},
		{target: "/open/a%3bb"},
		{target: "/open/%00"},
		{target: "/open/a%0d%0ab"},
		{target: "/open/%7f"},
		{target: "/open/%2561"},
		{target: "/open/%252e%252e/v1"},
		{target: "/open/%25"},
		{target: "/open/%3fx"},
		{target: "/open/%23x"},
		{target: "/open/x#f"},
		{target: "/open/#/../v1"},
		{target: "/open/x?a#b"},
		{target: "/open/caf\xc3\xa9"},
		{target: "/open/\xff"},
		{target: "/open/%ff"},
		{target: "/open/%c0%ae%c0%ae/v1"},
		{target: "/open/%e0%80%af"},
		{target: "/open/%ed%a0%80"},
		{target: `/open/"<>`},
		{target: "/open/a|b"},
		{target: "/open/a^b"},
		{target: "/open/{x}"},
		{target: "/open/[x]"},
		{target: "/open/`x`"},
		{target: "/" + strings.Repeat("a", 8200)},
		{target: "/open/x?" + strings.Repeat("a&", 20_000)},
		{target: "*"},
		{target: "http://app.test/open/x"},
		{target: "https://evil.test/open/x"},
		{target: "/%40me/x"},             // RFC 3986 does not call it equal to /@me/x, and an upstream does
		{target: "/files/secret%2Fx"},    // read with the slash decoded, it is another route's
		{target: "/files/..%2fv1"},       // or leaves the folder
		{target: "/files/a%252fb"},       // percent is not among what files accepts
		{target: "/data/a%2fb"},          // nor slash among data's
		{target: "/data/..;/v1"},         // without ;x it is ..
		{target: "/data/%252e%252e/v1"},  // decoded twice, too
		{target: "/data/a%3f/../../v1"},  // a dot segment is one behind anything
		{target: "/data/%252fv1"},        // decoded twice, it holds a slash that it does not show
		{target: "/data/..%3b/..%3b/v1"}, // decoded, and then without ;x
		{target: "open/x", but: badLine},
		{target: "open/x?http://", but: badLine},
		{target: "/open/%zz", but: badEscape},
		{target: "/open/%", but: badEscape},
		{target: "/open/%2", but: badEscape},
		{target: "/open/%u002e", but: badEscape},
		{target: "/open/a b", but: badLine},
		{target: "/open/x?a b", but: badLine},
		{target: "/open/\x01", but: controlByte},
		{target: "/open/\x7f", but: controlByte},
		{target: "/open/x\x00", but: controlByte},
		{target: "/open/x\ty", but: map[string]string{gatewaySkin: "net/http answers 400 to a control byte in a request line; in a header, a tab may stand"}},
	}
	for i := range refused {
		refused[i].want = policy.BadRequest
	}
	return refused
}
