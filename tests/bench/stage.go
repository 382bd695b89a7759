package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// stage starts what is measured and stops it again.
type stage struct {
	ctx    context.Context
	dir    string
	binary string
	stops  []func()
}

func (s *stage) close() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

const benchConfig = `
listen: { auth: "%s", admin: "%s" }
admin: { token: "%s" }
trust: [127.0.0.0/8]
store: "%s"
cache: { ttl: 5m } # so that what is measured is warm
log: { decisions: %v }
authenticators:
  partner: { api_key: { header: X-API-Key } }
  staff: { jwt: { issuer: "https://id.example.com", audience: orders, jwks_file: "%s", claims: { consumer: client_id } } }
routes:
  - { name: orders, match: "GET api.example.com/v1/orders/{id}", authenticate: [partner, staff], require: { groups: [partners] } }
  - { name: health, match: GET /healthz, public: probed }
`

// prepare starts Redis, fills it, and starts the servers; the cases come in the order in
// which they are measured.
func (s *stage) prepare(keys, tokens int) ([]*testCase, error) {
	redis, err := s.start("redis-server", "--port", "@PORT@", "--save", "", "--appendonly", "no")
	if err != nil {
		return nil, err
	}
	url := "redis://" + redis + "/0"
	texts, err := fill(s.ctx, url, keys)
	if err != nil {
		return nil, err
	}
	signed, jwks, err := s.sign(tokens, max(1, keys/100))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bare, err := s.start(pinned(self), "-bare", "127.0.0.1:@PORT@")
	if err != nil {
		return nil, err
	}
	bare400, err := s.start(pinned("env GOGC=400 "+self), "-bare", "127.0.0.1:@PORT@")
	if err != nil {
		return nil, err
	}
	logFile := filepath.Join(s.dir, "decisions.log")
	logging, err := s.stile(url, jwks, true, logFile)
	if err != nil {
		return nil, err
	}
	silent, err := s.stile(url, jwks, false, filepath.Join(s.dir, "silent.log"))
	if err != nil {
		return nil, err
	}
	byKey := requests("X-Api-Key: ", texts)
	byToken := requests("Authorization: Bearer ", signed)
	const bareKey, bareToken = "bare Echo, key in request", "bare Echo, token in request"
	return []*testCase{
		{name: bareKey, address: bare, request: byKey, kinds: keys},
		{name: "bare Echo with GOGC=400, as Stile has it", address: bare400, request: byKey, kinds: keys, against: bareKey},
		{name: "API key, log on", address: logging.auth, admin: logging.admin, request: byKey, kinds: keys, against: bareKey, bar: 0.85, log: logFile},
		{name: "API key, log off", address: silent.auth, admin: silent.admin, request: byKey, kinds: keys, against: bareKey, bar: 0.85},
		{name: bareToken, address: bare, request: byToken, kinds: tokens},
		{name: "RS256 JWT, log on", address: logging.auth, admin: logging.admin, request: byToken, kinds: tokens, against: bareToken, bar: 0.80, log: logFile},
		{name: "RS256 JWT, log off", address: silent.auth, admin: silent.admin, request: byToken, kinds: tokens, against: bareToken, bar: 0.80},
	}, nil
}

// requests prepares one subrequest, as Traefik sends it, for each credential.
func requests(header string, credentials []string) func(int) []byte {
	all := make([][]byte, len(credentials))
	for i, c := range credentials {
		all[i] = []byte("GET /auth/traefik HTTP/1.1\r\nHost: 127.0.0.1:4180\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n" +
			header + c + "\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: api.example.com\r\n" +
			"X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Uri: /v1/orders/42?limit=2\r\nAccept-Encoding: gzip\r\n\r\n")
	}
	return func(i int) []byte { return all[i%len(all)] }
}

// fill puts consumers with a hundred keys each into the store.
func fill(ctx context.Context, url string, keys int) ([]string, error) {
	r, err := store.OpenRedis(url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	texts := make([]string, keys)
	faults := make([]error, 32)
	var wg sync.WaitGroup
	for worker := range faults {
		wg.Go(func() {
			for c := worker; c < (keys+99)/100 && faults[worker] == nil; c += len(faults) {
				faults[worker] = fillConsumer(ctx, r, fmt.Sprintf("consumer-%d", c), texts[c*100:min(keys, c*100+100)])
			}
		})
	}
	wg.Wait()
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func fillConsumer(ctx context.Context, r *store.Redis, id string, texts []string) error {
	_, err := r.CreateConsumer(ctx, store.Consumer{Consumer: policy.Consumer{ID: id, Username: "Consumer of " + id, Groups: []string{"partners"}}})
	for i := range texts {
		if err != nil {
			return err
		}
		keyID, key := policy.KeyFormat{}.New()
		texts[i] = key.Reveal()
		err = r.CreateKey(ctx, store.Key{ID: keyID, Consumer: id, Hash: policy.PlainKeyHash(key), Created: time.Now()})
	}
	return err
}

// sign makes tokens of one RSA key, and a key set for them.
func (s *stage) sign(n, consumers int) (tokens []string, jwks string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "bench"}}, nil)
	if err != nil {
		return nil, "", err
	}
	tokens = make([]string, n)
	for i := range tokens {
		tokens[i], err = jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: "https://id.example.com", Subject: fmt.Sprintf("service-%d", i), Audience: jwt.Audience{"orders"}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(2 * time.Hour)),
		}).Claims(map[string]any{"client_id": fmt.Sprintf("consumer-%d", i%consumers), "azp": "orders-frontend"}).Serialize()
		if err != nil {
			return nil, "", err
		}
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "bench", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		return nil, "", err
	}
	jwks = filepath.Join(s.dir, "jwks.json")
	return tokens, jwks, os.WriteFile(jwks, set, 0o600)
}

// addresses are where one stile listens.
type addresses struct {
	auth, admin string
	pid         int
}

func (s *stage) stile(url, jwks string, decisions bool, log string) (a addresses, err error) {
	if a.auth, err = freeAddress(); err != nil {
		return a, err
	}
	if a.admin, err = freeAddress(); err != nil {
		return a, err
	}
	file := log + ".yaml"
	if err := os.WriteFile(file, fmt.Appendf(nil, benchConfig, a.auth, a.admin, policy.PlainKeyHash(policy.NewSecret(adminToken)), url, decisions, jwks), 0o600); err != nil {
		return a, err
	}
	if a.pid, err = s.run(pinned(s.binary), log, "serve", "-c", file); err != nil {
		return a, err
	}
	return a, waitFor(s.ctx, a.admin)
}

// checkLog stops the servers and counts the lines that the decisions left: a log that
// loses lines would be fast for the wrong reason.
func (s *stage) checkLog(cases []*testCase) error {
	s.close()
	s.stops = nil
	sent, file := 0, ""
	for _, c := range cases {
		if c.log != "" {
			sent, file = sent+c.sent, c.log
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := bytes.Count(text, []byte(`"msg":"decision"`))
	fmt.Printf("\n%d decisions sent to the logging server, %d lines in its log.\n", sent, lines)
	// A load that ends leaves a request unanswered on each connection at most.
	if lines < sent {
		return fmt.Errorf("the log lost %d lines", sent-lines)
	}
	return nil
}

// start runs a server on a free port, which replaces @PORT@, and waits until it listens.
func (s *stage) start(program string, args ...string) (string, error) {
	address, err := freeAddress()
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(address)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "@PORT@", port)
	}
	if _, err := s.run(program, "", args...); err != nil {
		return "", err
	}
	return address, waitListening(s.ctx, address)
}

// run starts a program, its standard error in a file if one is named. A program of the
// form "taskset … program" is taken apart.
func (s *stage) run(program, log string, args ...string) (pid int, err error) {
	words := append(strings.Fields(program), args...)
	cmd := exec.CommandContext(s.ctx, words[0], words[1:]...)
	if log != "" {
		f, err := os.Create(log)
		if err != nil {
			return 0, err
		}
		cmd.Stderr = f
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives the bench
	runtime.LockOSThread()                                             // the signal comes when the thread ends, so this one must not
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	s.stops = append(s.stops, func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	return cmd.Process.Pid, nil
}

// pinned puts a server on the last processor, away from the client.
func pinned(program string) string {
	if _, err := exec.LookPath("taskset"); err != nil {
		return program
	}
	return "taskset -c 1 " + program
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func waitListening(ctx context.Context, address string) error {
	return poll(ctx, func() bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

func waitFor(ctx context.Context, admin string) error {
	return poll(ctx, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
}

func poll(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("a server did not come up: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}
