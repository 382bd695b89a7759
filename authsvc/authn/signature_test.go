package authn

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

func TestEveryAlgorithm(t *testing.T) {
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		s := rsaOne()
		s.alg = alg
		f := newFixture(t, func(o *JWTOptions) { o.Algorithms = []string{alg} }, s)
		_, err := f.present(f.token(t, s, nil))
		expect(t, err, "ok")
	}
	for _, s := range []signer{ecSigner("e"), edSigner("d"), rsaOne()} {
		f := newFixture(t, nil, s)
		_, err := f.present(f.token(t, s, nil))
		expect(t, err, "ok")
	}
}

// TestAlgorithms: what alg says never decides what a key is used for.
func TestAlgorithms(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	claims := f.raw(nil)
	for _, alg := range []string{
		"none", "None", "nOnE", "NONE", "", " none", "none ", "HS256", "HS384", "HS512", "rs256", "RS256 ",
		"RS384", "ES256K", "ML-DSA-44", "dir", "A128KW", "PBES2-HS256+A128KW", "RSA-OAEP", strings.Repeat("x", 9000),
	} {
		for _, signature := range []string{"", encode("x")} {
			quoted, err := json.Marshal(alg)
			if err != nil {
				t.Fatal(err)
			}
			token := encode(`{"alg":`+string(quoted)+`,"kid":"one"}`) + "." + encode(claims) + "." + signature
			_, err = f.present(token)
			if outcome(err) != "bad_credential" {
				t.Errorf("alg %.20q: %v", alg, err)
			}
		}
		_, err := f.present(one.forge(t, fmt.Sprintf(`{"alg":%q,"kid":"one"}`, alg), claims))
		expect(t, err, "bad_credential")
	}
	for _, alg := range []string{`null`, `1`, `["RS256"]`, `{"RS256":1}`, `true`} {
		_, err := f.present(one.forge(t, `{"alg":`+alg+`,"kid":"one"}`, claims))
		expect(t, err, "bad_credential")
	}
	_, err := f.present(one.forge(t, `{"kid":"one"}`, claims))
	expect(t, err, "bad_credential")

	// The public key as the secret of a MAC, in every form that a program might use.
	public := one.private.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := one.jwk().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{
		der, x509.MarshalPKCS1PublicKey(public), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		public.N.Bytes(), jwk,
		{},
		[]byte("secret"),
	} {
		input := encode(`{"alg":"HS256","kid":"one","typ":"JWT"}`) + "." + encode(claims)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		_, err := f.present(input + "." + encode(string(mac.Sum(nil))))
		expect(t, err, "bad_credential")
	}
}

func TestElliptic(t *testing.T) {
	ec, ed := ecSigner("e"), edSigner("d")
	f := newFixture(t, nil, ec, ed)
	input := encode(`{"alg":"ES256","kid":"e"}`) + "." + encode(f.raw(nil))
	good := ec.signature(t, input)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])})
	if err != nil {
		t.Fatal(err)
	}
	order := elliptic256Order()
	for name, sig := range map[string][]byte{
		"zero":     make([]byte, 64),
		"r zero":   append(make([]byte, 32), good[32:]...),
		"s zero":   append(append([]byte{}, good[:32]...), make([]byte, 32)...),
		"r, s = n": append(order.Bytes(), order.Bytes()...),
		"DER":      der, "empty": {}, "short": good[:63], "long": append(append([]byte{}, good...), 0),
		"padded": append(append(make([]byte, 1), good[:32]...), append(make([]byte, 1), good[32:]...)...),
	} {
		_, err := f.present(input + "." + encode(string(sig)))
		if outcome(err) != "bad_credential" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = f.present(input + "." + encode(string(good)))
	expect(t, err, "ok")

	// S plus the order of the group is the same signature to a careless verifier.
	input = encode(`{"alg":"EdDSA","kid":"d"}`) + "." + encode(f.raw(nil))
	sig := ed.signature(t, input)
	_, err = f.present(input + "." + encode(string(addEd25519Order(sig))))
	expect(t, err, "bad_credential")
	_, err = f.present(input + "." + encode(string(sig)))
	expect(t, err, "ok")
	// A key of one type is not used for an algorithm of another.
	_, err = f.present(ec.forge(t, `{"alg":"EdDSA","kid":"e"}`, f.raw(nil)))
	expect(t, err, "bad_credential")
}

func elliptic256Order() *big.Int {
	n, _ := new(big.Int).SetString("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16)
	return n
}

func addEd25519Order(sig []byte) []byte {
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	out := append([]byte{}, sig...)
	reverse := func(b []byte) []byte {
		r := make([]byte, len(b))
		for i := range b {
			r[len(b)-1-i] = b[i]
		}
		return r
	}
	s := new(big.Int).SetBytes(reverse(sig[32:]))
	copy(out[32:], reverse(s.Add(s, order).FillBytes(make([]byte, 32))))
	return out
}

func TestRSASignatureOfOtherPadding(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one) // its JWK says alg RS256
	input := encode(`{"alg":"PS256","kid":"one"}`) + "." + encode(f.raw(nil))
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPSS(rand.Reader, one.private.(*rsa.PrivateKey), crypto.SHA256, sum[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.present(input + "." + encode(string(sig)))
	expect(t, err, "bad_credential")
}
