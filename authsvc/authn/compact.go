package authn

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-gate/stile/authsvc/strictjson"
)

// maxKeyID bounds a kid in bytes. It is only a hint for a look-up, and an issuer's are
// some dozen bytes long.
const maxKeyID = 255

// parseCompact takes a token in JWS compact serialization (RFC 7515 §7.1) apart. One that
// is not three parts (a JWE has five), or not a strict JSON object in each of the first
// two, is an error. Nothing is verified: neither header nor claims may be believed yet.
func parseCompact(raw string) (header, claims map[string]any, err error) {
	if strings.Count(raw, ".") != 2 {
		return nil, nil, errors.New("token is not a JWS of three parts")
	}
	parts := strings.Split(raw, ".")
	if header, err = decodePart(parts[0]); err != nil {
		return nil, nil, fmt.Errorf("token's header: %w", err)
	}
	if claims, err = decodePart(parts[1]); err != nil {
		return nil, nil, fmt.Errorf("token's claims: %w", err)
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return nil, nil, errors.New("token's signature is not base64url without padding")
	}
	return header, claims, nil
}

func decodePart(part string) (map[string]any, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("not base64url without padding")
	}
	return strictjson.Object(data)
}

// joseHeader is what we use of a token's header. Key material in it (jwk, jku, x5c, x5u)
// is a stranger's and never used.
type joseHeader struct {
	algorithm string
	keyID     string // "" when the token names no key
}

// headerDemands is what a token's header must be like.
type headerDemands struct {
	algorithms []string
	mediaType  string // as normalType gives it; "" takes JWT, at+jwt and none
}

// read checks the header parameters of RFC 7515 §4.1 that bear on the verification.
func (d headerDemands) read(header map[string]any) (h joseHeader, err error) {
	// No extension is understood here, so whatever is critical is refused, even an empty
	// list, which RFC 7515 §4.1.11 forbids. RFC 7797 §7 forbids b64 in a JWT.
	for _, name := range []string{"crit", "b64"} {
		if _, ok := header[name]; ok {
			return h, fmt.Errorf("token's header has %s", name)
		}
	}
	if err := checkVariants(header, []string{"alg", "kid", "typ", "crit", "b64"}); err != nil {
		return h, fmt.Errorf("token's header: %w", err)
	}
	if h.algorithm, err = headerText(header, "alg"); err != nil {
		return h, err
	}
	if !slices.Contains(d.algorithms, h.algorithm) {
		return h, fmt.Errorf("token's alg %q is none of %s", clip(h.algorithm), strings.Join(d.algorithms, ", "))
	}
	if h.keyID, err = headerText(header, "kid"); err != nil {
		return h, err
	}
	if len(h.keyID) > maxKeyID {
		return h, fmt.Errorf("token's kid is longer than %d bytes", maxKeyID)
	}
	return h, d.checkType(header)
}

// checkType holds typ against what is expected, so that one kind of JWT cannot be used
// as another (RFC 8725 §3.11): a logout token or a DPoP proof is no access token.
func (d headerDemands) checkType(header map[string]any) error {
	text, err := headerText(header, "typ")
	if err != nil {
		return err
	}
	_, present := header["typ"]
	got := normalType(text)
	switch {
	case d.mediaType != "" && got != d.mediaType:
		return fmt.Errorf("token's typ %q is not %q", clip(text), d.mediaType)
	case d.mediaType == "" && present && got != "jwt" && got != "at+jwt":
		return fmt.Errorf("token's typ %q is neither JWT nor at+jwt", clip(text))
	}
	return nil
}

// normalType brings a media type into one form: lower case and without "application/",
// which RFC 7515 §4.1.9 recommends to leave out.
func normalType(text string) string {
	return strings.TrimPrefix(strings.ToLower(text), "application/")
}

// headerText reads a header parameter that is a string. One that is absent is "".
func headerText(header map[string]any, name string) (string, error) {
	value, ok := header[name]
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("token's %s is not a string", name)
	}
	return text, nil
}

// checkVariants refuses an object with a name that differs only in case from one that is
// read: another program could take it for that one.
func checkVariants(object map[string]any, read []string) error {
	for name := range object {
		for _, wanted := range read {
			if name != wanted && strings.EqualFold(name, wanted) {
				return fmt.Errorf("a name differs from %q in case only", wanted)
			}
		}
	}
	return nil
}
