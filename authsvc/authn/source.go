package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	maxDocument  = 1 << 20 // bytes of a JWK Set or a discovery document
	maxRedirects = 3

	maxResponseHeader = 64 << 10
)

// source is where a JWK Set comes from.
type source interface {
	fetch(context.Context) ([]byte, error)
}

// fileSource is a file. It is read whenever keys are due: comparing mtime and size first
// would save nothing and could miss a change.
type fileSource struct{ path string }

func (s fileSource) fetch(context.Context) ([]byte, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(capReader(file))
}

// urlSource is a URL.
type urlSource struct {
	client *http.Client
	url    string
}

func (s urlSource) fetch(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d", s.url, response.StatusCode)
	}
	document, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.url, err)
	}
	return document, nil
}

// discoverySource is an issuer that says where its keys are (OpenID Connect Discovery
// §4). It is asked each time, so that a jwks_uri that moves is followed.
type discoverySource struct {
	client *http.Client
	issuer string
}

func (s discoverySource) fetch(ctx context.Context) ([]byte, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer)
	if err != nil {
		// go-oidc puts the body of a refusal into its error.
		return nil, fmt.Errorf("discovery of %s: %w", s.issuer, clipped{err})
	}
	var metadata struct {
		JWKSURL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", s.issuer, clipped{err})
	}
	if err := checkURL(metadata.JWKSURL); err != nil {
		return nil, fmt.Errorf("discovery of %s: jwks_uri %w", s.issuer, err)
	}
	return urlSource{s.client, metadata.JWKSURL}.fetch(ctx)
}

// fetchClient is a client for documents that we trust: bodies are capped, and a redirect
// may not leave the host or its scheme. Without a client of the operator's, connections
// are not kept, since minutes lie between two fetches.
func fetchClient(given *http.Client) *http.Client {
	client := &http.Client{}
	if given != nil {
		*client = *given
	} else if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		transport := standard.Clone()
		transport.DisableKeepAlives = true
		transport.MaxResponseHeaderBytes = maxResponseHeader
		client.Transport = transport
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = capTransport{client.Transport}
	client.CheckRedirect = sameHost
	return client
}

func sameHost(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	if request.URL.Host != first.Host || request.URL.Scheme != first.Scheme {
		return errors.New("redirect to another host")
	}
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	return nil
}

// capTransport caps the body of each response. go-oidc reads without a limit.
type capTransport struct{ http.RoundTripper }

func (t capTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{capReader(response.Body), response.Body}
	return response, nil
}

// capReader reads at most maxDocument bytes, and then fails rather than end early: half
// of a key set is not the key set.
func capReader(r io.Reader) io.Reader {
	return io.MultiReader(io.LimitReader(r, maxDocument), tooLong{r})
}

type tooLong struct{ r io.Reader }

func (t tooLong) Read([]byte) (int, error) {
	var one [1]byte
	if n, err := io.ReadFull(t.r, one[:]); n == 0 {
		return 0, err
	}
	return 0, fmt.Errorf("document is longer than %d bytes", maxDocument)
}

// checkURL takes an absolute https URL, or one in clear to this very machine: keys that
// are fetched in clear can be replaced on the way.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q is not an absolute URL without userinfo and fragment", clip(text))
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must be https, or http to a loopback address", clip(text))
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
