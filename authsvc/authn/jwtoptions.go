package authn

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// JWTOptions says which tokens a JWT authenticator accepts, and where the keys are that
// verify them.
type JWTOptions struct {
	Name      string   // for errors
	Issuer    string   // what iss must be, exactly; required
	Audiences []string // aud must hold one of them, exactly; required

	// Where the issuer's keys are: at most one of these. Without one they are found by
	// OpenID Connect Discovery from Issuer, which is a URL then. URLs are https, or http
	// to a loopback address.
	JWKSURL  string
	JWKSFile string // read again whenever it is used and was not read for MinRefresh

	TTL          time.Duration // after this, keys are fetched anew before use; 5 min; nothing for a file
	MinRefresh   time.Duration // between the beginnings of two fetches, whatever happens; 10 s
	MaxStale     time.Duration // beyond the TTL, while fetches fail; 1 h, negative for not at all
	FetchTimeout time.Duration // of one fetch; 5 s

	// Algorithms are the signatures that are accepted (RFC 7518 §3.1, RFC 8037 §3.1):
	// RS*, PS*, ES* and EdDSA; without any, RS256, PS256, ES256 and EdDSA.
	Algorithms []string
	// Type is what the header's typ must be, such as at+jwt (RFC 9068), in any case and
	// with or without "application/". Without it, typ may be absent, JWT or at+jwt.
	Type   string
	Cookie string // a cookie that may hold the token in place of the bearer header
	Claims ClaimPaths

	Revocations Revocations // nil when none is ever revoked

	HTTPClient   *http.Client     // for keys; nil for one of our own
	Now          func() time.Time // nil for time.Now
	CacheEntries int              // how many verified tokens are remembered; 50,000
	MaxToken     int              // bytes of the longest token; 16 KiB
}

// ClaimPaths says where claims stand: a top-level name, a dotted path
// (realm_access.roles), or a JSON pointer (RFC 6901) when it begins with "/".
type ClaimPaths struct {
	Consumer string // a string, the id of a consumer; without it a token names none
	Groups   string // a string or an array of strings; "groups"
	Scopes   string // a space-separated string or an array of strings; "scope", else "scp"
}

// complete fills in the defaults and returns every problem at once.
func (o *JWTOptions) complete() error {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.CacheEntries = cmp.Or(o.CacheEntries, 50_000)
	o.MaxToken = cmp.Or(o.MaxToken, 16<<10)
	o.Type = normalType(o.Type)
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}
	}
	o.MinRefresh = cmp.Or(o.MinRefresh, 10*time.Second)
	o.TTL = cmp.Or(o.TTL, max(5*time.Minute, o.MinRefresh))
	if o.JWKSFile != "" { // reading a file costs nothing
		o.TTL = o.MinRefresh
	}
	o.MaxStale = max(0, cmp.Or(o.MaxStale, time.Hour))
	o.FetchTimeout = cmp.Or(o.FetchTimeout, 5*time.Second)
	errs := []error{o.checkSource(), o.checkTimes(), o.checkAlgorithms(), checkCookieName(o.Cookie)}
	if len(o.Audiences) == 0 || slices.Contains(o.Audiences, "") {
		errs = append(errs, errors.New("an audience is required, and none may be empty"))
	}
	if o.CacheEntries < 0 || o.MaxToken < 0 {
		errs = append(errs, errors.New("cache entries and token size must not be negative"))
	}
	return errors.Join(errs...)
}

// checkSource judges the issuer and where its keys are. Only what is fetched from must be
// a URL: otherwise the issuer is a name.
func (o *JWTOptions) checkSource() error {
	var err error
	switch {
	case o.Issuer == "":
		return errors.New("issuer is required")
	case strings.Contains(o.Issuer, "|"):
		// It ends the issuer in an identity's id.
		return fmt.Errorf("issuer %q must not contain |", o.Issuer)
	case o.JWKSURL != "" && o.JWKSFile != "":
		return errors.New("JWKS URL and JWKS file exclude each other")
	case o.JWKSURL != "":
		if err = checkURL(o.JWKSURL); err != nil {
			return fmt.Errorf("JWKS URL %w", err)
		}
	case o.JWKSFile == "":
		if err = checkURL(o.Issuer); err != nil {
			return fmt.Errorf("issuer %w", err)
		}
		if strings.Contains(o.Issuer, "?") {
			return fmt.Errorf("issuer %q must not have a query", o.Issuer)
		}
	}
	return nil
}

func (o *JWTOptions) checkTimes() error {
	switch {
	case o.MinRefresh < 0 || o.TTL < 0 || o.FetchTimeout < 0:
		return errors.New("the times of keys must not be negative")
	case o.TTL < o.MinRefresh:
		return fmt.Errorf("keys cannot live %s when they are fetched every %s at most", o.TTL, o.MinRefresh)
	}
	return nil
}

func (o *JWTOptions) checkAlgorithms() error {
	allowed := supportedAlgorithms()
	for _, algorithm := range o.Algorithms {
		if !slices.Contains(allowed, algorithm) {
			return fmt.Errorf("algorithm %q is none of %s", clip(algorithm), strings.Join(allowed, ", "))
		}
	}
	return nil
}

func (o *JWTOptions) keyTimes() keyTimes {
	return keyTimes{ttl: o.TTL, maxAge: o.TTL + o.MaxStale, interval: o.MinRefresh, timeout: o.FetchTimeout}
}

// source is where the options say that keys are.
func (o *JWTOptions) source() source {
	switch {
	case o.JWKSFile != "":
		return fileSource{o.JWKSFile}
	case o.JWKSURL != "":
		return urlSource{fetchClient(o.HTTPClient), o.JWKSURL}
	default:
		return discoverySource{fetchClient(o.HTTPClient), o.Issuer}
	}
}
