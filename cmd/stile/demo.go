package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/policy"
)

// demoConfig is a whole stile.yaml, so that what the demo shows is what serve does.
const demoConfig = `
listen: { auth: "@AUTH@", proxy: "@PROXY@", admin: "@ADMIN@" }
trust: [127.0.0.0/8, "::1"]
store: "memory:"
authenticators:
  partner: { api_key: { header: X-API-Key } }
  staff:
    jwt: { issuer: "@ISSUER@", audience: orders, claims: { consumer: client_id } }
routes:
  - { name: health, match: GET /healthz, public: probed by load balancers, upstream: sample }
  - name: orders
    match: /v1/orders/
    authenticate: [partner, staff]
    require: { groups: [partners, staff] }
    upstream: sample
  - name: orders-list
    match: /v1/orders
    authenticate: [partner, staff]
    require: { groups: [partners, staff] }
    upstream: sample
  - name: admin
    match: /v1/admin/
    authenticate: [partner, staff]
    require: { groups: [admins] }
    upstream: sample
upstreams:
  sample: { targets: [{ url: "@SAMPLE@" }] }
consumers:
  - { id: acme, username: Acme Ltd, groups: [partners], keys: [{ id: "@KEYID@", hash: "@KEYHASH@", name: demo }] }
  - { id: maria, username: Maria of the back office, groups: [staff] }
`

// demoInfo is what --json prints.
type demoInfo struct {
	Auth       string `json:"auth"`
	Proxy      string `json:"proxy"`
	Admin      string `json:"admin"`
	Key        string `json:"key"`
	Token      string `json:"token"`
	AdminToken string `json:"admin_token"`
}

func newDemo() *cobra.Command {
	var asJSON bool
	var l config.Listen
	cmd := &cobra.Command{
		Use: "demo", Short: "Try stile: everything in one process, nothing to install", Args: takes(0, "no arguments"),
		Long: `Start auth, gateway and admin listeners on loopback with a memory store, a sample upstream
and a token issuer, and print what to type next. Ctrl-C ends it; nothing is kept.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			return runDemo(ctx, cmd.OutOrStdout(), os.Stderr, l, asJSON)
		},
	}
	cmd.Flags().StringVar(&l.Auth, "listen-auth", "127.0.0.1:4180", "address that edges ask; port 0 takes a free one")
	cmd.Flags().StringVar(&l.Proxy, "listen-proxy", "127.0.0.1:8080", "address of the gateway; port 0 takes a free one")
	cmd.Flags().StringVar(&l.Admin, "listen-admin", defaultAdmin, "address of the admin API; port 0 takes a free one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON once everything is ready")
	return cmd
}

func runDemo(ctx context.Context, out, logTo io.Writer, l config.Listen, asJSON bool) error {
	listeners, err := openAll(&l)
	if err != nil {
		return fmt.Errorf("%w\nAnother stile may be running; --listen-auth, --listen-proxy and --listen-admin 127.0.0.1:0 take free ports", err)
	}
	issuer, err := startIssuer(ctx)
	if err != nil {
		return err
	}
	sample, err := startSample(ctx)
	if err != nil {
		return err
	}
	id, key := policy.KeyFormat{}.New()
	adminToken := rand.Text()
	text := strings.NewReplacer(
		"@AUTH@", l.Auth, "@PROXY@", l.Proxy, "@ADMIN@", l.Admin,
		"@ISSUER@", issuer.url, "@SAMPLE@", sample,
		"@KEYID@", id, "@KEYHASH@", policy.PlainKeyHash(key),
	).Replace(demoConfig)
	c, problems := config.Parse("demo", []byte(text), []string{"STILE_ADMIN_TOKEN=" + adminToken})
	s, err := newServer(c, problems, "", logTo, listeners)
	if err != nil {
		return err
	}
	token, err := issuer.token("maria", time.Hour)
	if err != nil {
		return err
	}
	info := demoInfo{"http://" + l.Auth, "http://" + l.Proxy, "http://" + l.Admin, key.Reveal(), token, adminToken}
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	if err := waitReady(ctx, info.Admin); err != nil {
		return errors.Join(err, <-done)
	}
	if err := info.print(out, asJSON); err != nil {
		return err
	}
	return <-done
}

// openAll opens the three addresses and writes back the ports that were free.
func openAll(l *config.Listen) (listeners map[string]net.Listener, err error) {
	listeners = map[string]net.Listener{}
	defer func() {
		if err != nil {
			for _, ln := range listeners {
				_ = ln.Close()
			}
		}
	}()
	for name, address := range map[string]*string{"auth": &l.Auth, "proxy": &l.Proxy, "admin": &l.Admin} {
		ln, err := net.Listen("tcp", *address)
		if err != nil {
			return nil, fmt.Errorf("--listen-%s %s: %w", name, *address, err)
		}
		listeners[name] = ln
		if !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
			return nil, &misuseError{fmt.Errorf("--listen-%s %s: the demo listens on loopback alone", name, *address)}
		}
		*address = ln.Addr().String()
	}
	return listeners, nil
}

// waitReady asks /readyz until it says yes.
func waitReady(ctx context.Context, admin string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the demo did not become ready")
		case <-tick.C:
		}
	}
}

func (d demoInfo) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(d)
	}
	_, err := fmt.Fprintf(w, `Stile is running: gateway %[1]s, auth %[2]s, admin %[3]s.
Type in another terminal:

# let in: the key is Acme's, and Acme is one of the partners
curl -i %[1]s/v1/orders -H 'X-API-Key: %[4]s'

# refused with 401: no key
curl -i %[1]s/v1/orders

# refused with 403: Acme is not one of the admins
curl -i %[1]s/v1/admin/keys -H 'X-API-Key: %[4]s'

# let in: a token of an issuer, Maria of the back office
curl -i %[1]s/v1/orders -H 'Authorization: Bearer %[5]s'

# what Traefik asks, and what it hears
curl -i %[2]s/auth/traefik -H 'X-API-Key: %[4]s' -H 'X-Forwarded-Method: GET' \
  -H 'X-Forwarded-Proto: http' -H 'X-Forwarded-Host: localhost' -H 'X-Forwarded-Uri: /v1/orders' -H 'X-Forwarded-For: 127.0.0.1'

# a consumer and a key of your own
curl -s %[3]s/v1/consumers -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' -d '{"id":"umbrella","groups":["partners"]}'
curl -s %[3]s/v1/keys -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' -d '{"consumer":"umbrella"}'

Ctrl-C ends it.
`, d.Proxy, d.Auth, d.Admin, d.Key, d.Token, d.AdminToken)
	return err
}
