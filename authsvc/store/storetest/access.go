package storetest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The users of a server that was started with ACL, each with this password. Stile is the one
// of the URL; admin, who may do everything, is not of the file that is shipped.
const (
	stileUser = "stile"
	adminUser = "admin"
	password  = "pa/ss"
)

// access is how a server is reached, which its arguments tell.
type access struct {
	tls   *tls.Config
	certs string // the folder of the certificates
	acl   string // the file of the users
}

// TLS are arguments with which a server takes connections by TLS alone, of clients who show
// a certificate. The certificates are of a CA of the test's own.
func TLS(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	makeCertificates(t, dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"--tls-ca-cert-file", in("ca.crt"), "--tls-cert-file", in("server.crt"), "--tls-key-file", in("server.key"),
		"--tls-auth-clients", "yes", "--tls-replication", "yes", "--tls-cluster", "yes",
	}
}

// ACL are arguments with which a server has the users of a file that is shipped, but for their
// passwords, and one more, whom Admin is.
func ACL(t testing.TB, file string) []string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{filepath.Base(file), sentinelACL} {
		shipped, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(shipped), ">CHANGE-ME", ">"+password)
		text += "user " + adminUser + " on >" + password + " ~* &* +@all\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--aclfile", filepath.Join(dir, filepath.Base(file)), "--masteruser", "replica", "--masterauth", password}
}

// sentinelACL is the file of a Sentinel's users, in the same folder as that of the servers'.
const sentinelACL = "sentinel.acl"

// StartTLS starts a redis-server with TLS, and further arguments if need be.
func StartTLS(t testing.TB, args ...string) *Redis {
	t.Helper()
	return StartRedis(t, append(TLS(t), args...)...)
}

// argument is what follows a name, or "".
func argument(args []string, name string) (value string) {
	for i := range len(args) - 1 {
		if args[i] == name {
			value = args[i+1]
		}
	}
	return value
}

func accessOf(t testing.TB, args []string) access {
	t.Helper()
	a := access{acl: argument(args, "--aclfile")}
	ca := argument(args, "--tls-ca-cert-file")
	if ca == "" {
		return a
	}
	a.certs = filepath.Dir(ca)
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.certs, "client.crt"), filepath.Join(a.certs, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	a.tls = &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{pair}, ServerName: "127.0.0.1"}
	a.tls.RootCAs.AppendCertsFromPEM(pem)
	return a
}

// urlOf is a URL of a scheme like redis, or redis+cluster; with TLS it is the same with s.
func (a access) urlOf(scheme, hosts, path string) string {
	base, shape, shaped := strings.Cut(scheme, "+")
	query := url.Values{}
	if a.tls != nil {
		base += "s"
		query.Set("ca_file", filepath.Join(a.certs, "ca.crt"))
		query.Set("cert_file", filepath.Join(a.certs, "client.crt"))
		query.Set("key_file", filepath.Join(a.certs, "client.key"))
	}
	if shaped {
		base += "+" + shape
	}
	user := ""
	if a.acl != "" {
		user = url.UserPassword(stileUser, password).String() + "@"
		if shape == "sentinel" {
			query.Set("sentinel_user", stileUser)
			query.Set("sentinel_password", password)
		}
	}
	text := base + "://" + user + hosts + path
	if len(query) > 0 {
		text += "?" + query.Encode()
	}
	return text
}

func (a access) adminOptions(addr string) *redis.Options {
	o := &redis.Options{
		Addr: addr, TLSConfig: a.tls, Protocol: 2, DisableIdentity: true,
		DialTimeout: time.Second, ReadTimeout: 3 * time.Second, DialerRetries: 1, ContextTimeoutEnabled: true,
	}
	if a.acl != "" {
		o.Username, o.Password = adminUser, password
	}
	return o
}

// answers tells whether something answers there, as a Redis would.
func (r *Redis) answers() bool {
	conn, err := r.dial()
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte("PING\r\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line == "+PONG\r\n" || strings.HasPrefix(line, "-NOAUTH") // it wants a password, and is up
}

func (r *Redis) dial() (net.Conn, error) {
	d := &net.Dialer{Timeout: time.Second}
	if r.tls != nil {
		return tls.DialWithDialer(d, "tcp", r.Addr, r.tls) //nolint:noctx // bounded
	}
	return d.Dial("tcp", r.Addr)
}
