package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	// go-jose's fork tells names apart by case and refuses one that stands twice.
	"github.com/go-jose/go-jose/v4/json"
)

const (
	minRSABits = 2048 // RFC 7518 §3.3
	// maxCandidates bounds how many keys are tried for one token, where a set has a kid
	// more than once.
	maxCandidates = 4
)

// supportedAlgorithms lists the signatures that a token may have: asymmetric ones only,
// since whoever can check a MAC can also make one.
func supportedAlgorithms() []string {
	return []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// key is one public key of a set.
type key struct {
	id         string
	algorithms []string // that it may be used with
	public     crypto.PublicKey
}

// keys is a key set as it was at one moment. It never changes.
type keys struct {
	list       []key
	loaded     time.Time
	generation uint64 // the same as long as the keys are the same
	content    string // what the keys are, to tell whether they changed
}

// parseKeys reads a JWK Set (RFC 7517 §5). As §5 asks, a key that cannot be used is left
// out: private or symmetric, not for verifying, of an unknown type, too short. A set may
// be empty, which takes all trust away; a document without "keys" is no set.
func parseKeys(document []byte) (*keys, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil || set.Keys == nil {
		return nil, errors.New("not a JWK Set")
	}
	parsed := &keys{}
	var content []string
	for _, raw := range *set.Keys {
		k, thumbprint, err := parseKey(raw)
		if err != nil {
			continue
		}
		parsed.list = append(parsed.list, k)
		content = append(content, fmt.Sprintf("%q %s %s", k.id, thumbprint, k.algorithms))
	}
	slices.Sort(content) // some issuers shuffle their set with every answer
	parsed.content = strings.Join(content, "\n")
	return parsed, nil
}

// parseKey reads one JWK, or says why it is of no use.
func parseKey(raw []byte) (k key, thumbprint string, err error) {
	var purpose struct {
		Use        *string   `json:"use"`
		Operations *[]string `json:"key_ops"`
		Algorithm  string    `json:"alg"`
	}
	if err := json.Unmarshal(raw, &purpose); err != nil {
		return k, "", err
	}
	if purpose.Use != nil && *purpose.Use != "sig" ||
		purpose.Operations != nil && !slices.Contains(*purpose.Operations, "verify") {
		return k, "", errors.New("not for verifying")
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return k, "", err
	}
	algorithms := algorithmsOf(jwk.Key)
	if purpose.Algorithm != "" {
		if !slices.Contains(algorithms, purpose.Algorithm) {
			return k, "", errors.New("alg does not go with its type")
		}
		algorithms = []string{purpose.Algorithm}
	}
	if len(algorithms) == 0 {
		return k, "", errors.New("not a public key that signs")
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return k, "", err
	}
	return key{jwk.KeyID, algorithms, jwk.Key}, hex.EncodeToString(sum), nil
}

// algorithmsOf lists what a public key can verify. A private or symmetric one gets none:
// a set that shows it has lost it.
func algorithmsOf(public any) []string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() >= minRSABits {
			return supportedAlgorithms()[:6]
		}
	case *ecdsa.PublicKey:
		switch public.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// has tells whether the set has a key of this id.
func (k *keys) has(id string) bool {
	return slices.ContainsFunc(k.list, func(k key) bool { return k.id == id })
}

// fitting returns the keys that a token with this header may be signed with. A token
// that names no key gets the only one that fits, for trying them all would make each of
// an issuer's keys good for every token.
func (k *keys) fitting(h joseHeader) ([]crypto.PublicKey, error) {
	var fit []crypto.PublicKey
	for _, key := range k.list {
		if (h.keyID == "" || key.id == h.keyID) && slices.Contains(key.algorithms, h.algorithm) {
			fit = append(fit, key.public)
		}
	}
	switch {
	case len(fit) == 0:
		return nil, fmt.Errorf("no key %q for %s", clip(h.keyID), h.algorithm)
	case h.keyID == "" && len(fit) > 1:
		return nil, fmt.Errorf("token names no key, and %d fit", len(fit))
	}
	return fit[:min(len(fit), maxCandidates)], nil
}
