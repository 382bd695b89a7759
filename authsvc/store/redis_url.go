package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redisURL is what the URL of OpenRedis says.
type redisURL struct {
	shape    shape
	hosts    []string // with ports
	master   string   // the name that the sentinels give it
	database int

	user, password                 string
	sentinelUser, sentinelPassword string

	tls                                    *tls.Config // nil for none
	poolSize                               int
	dialTimeout, readTimeout, writeTimeout time.Duration
	poolTimeout                            time.Duration // how long a command waits for a free connection
}

type shape string

const (
	standalone shape = ""
	sentinel   shape = "sentinel"
	cluster    shape = "cluster"
)

var shapes = []shape{standalone, sentinel, cluster}

var errRedisScheme = errors.New("a Redis URL begins with redis://, redis+sentinel:// or redis+cluster://, or with rediss for TLS")

// How a password that was not encoded breaks a URL.
var (
	errCutShort = errors.New("the URL ends before its last @: a password writes its / ? # @ : % as %2F %3F %23 %40 %3A %25")
	errEncoding = errors.New("the user or password cannot be read: they write their / ? # @ : % as %2F %3F %23 %40 %3A %25")
)

// parseRedisURL's errors name the part that is wrong and quote nothing that could be of a
// password.
func parseRedisURL(raw string) (u redisURL, err error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	kind, shaped, _ := strings.Cut(scheme, "+")
	secure := kind == "rediss"
	if !ok || (kind != "redis" && !secure) || !slices.Contains(shapes, shape(shaped)) || strings.HasSuffix(scheme, "+") {
		return u, errRedisScheme
	}
	// A request that waits for us has no seconds to spare. Look-ups of one key are merged, so
	// a pool of 32 is 32 different keys at a time.
	const moment = 250 * time.Millisecond
	u = redisURL{shape: shape(shaped), poolSize: 32, dialTimeout: 2 * moment, readTimeout: moment, writeTimeout: moment, poolTimeout: moment}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	authority, behind := rest[:end], rest[end:]
	if strings.ContainsAny(behind, "@#") {
		return u, errCutShort
	}
	path, query, _ := strings.Cut(behind, "?")
	if err := u.readAuthority(authority); err != nil {
		return u, err
	}
	if err := u.readPath(strings.TrimPrefix(path, "/")); err != nil {
		return u, err
	}
	return u, u.readQuery(query, secure)
}

func (u *redisURL) readAuthority(text string) error {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		user, password, _ := strings.Cut(text[:at], ":")
		var err, err2 error
		u.user, err = url.PathUnescape(user)
		u.password, err2 = url.PathUnescape(password)
		if errors.Join(err, err2) != nil || strings.ContainsAny(text[:at], "@") || strings.Contains(password, ":") {
			return errEncoding
		}
		if u.user != "" && u.password == "" {
			return errors.New("the URL has a user and no password; a password alone is written :password@host")
		}
		text = text[at+1:]
	}
	port := "6379"
	if u.shape == sentinel {
		port = "26379"
	}
	for i, host := range strings.Split(text, ",") {
		address, err := withPort(host, port)
		if err != nil {
			return fmt.Errorf("host %d of the URL %w", i+1, err)
		}
		u.hosts = append(u.hosts, address)
	}
	if u.shape == standalone && len(u.hosts) > 1 {
		return errors.New("the URL names several hosts: write redis+sentinel:// or redis+cluster://")
	}
	return nil
}

// withPort completes an address. Its error does not quote it: without its @ a URL has the
// password here.
func withPort(host, port string) (string, error) {
	name := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("has a port that is not a number from 1 to 65535")
	}
	if bare, v6 := strings.CutPrefix(name, "["); v6 {
		name = strings.TrimSuffix(bare, "]")
		if name == bare || net.ParseIP(name) == nil {
			return "", errors.New("is no IPv6 address in brackets")
		}
	} else if strings.ContainsAny(name, ":[]") {
		return "", errors.New("has too many colons; an IPv6 address stands in brackets")
	}
	if name == "" {
		return "", errors.New("is empty")
	}
	return net.JoinHostPort(name, port), nil
}

func (u *redisURL) readPath(path string) error {
	database := path
	switch u.shape {
	case cluster:
		if path != "" {
			return errors.New("the URL of a cluster has no path: a cluster has no numbered databases")
		}
	case sentinel:
		u.master, database, _ = strings.Cut(path, "/")
		if u.master == "" {
			return errors.New("the URL's path does not name the master: redis+sentinel://host,host/name")
		}
	}
	if database == "" {
		return nil
	}
	n, err := strconv.ParseUint(database, 10, 16)
	if err != nil {
		return errors.New("the URL's path is not the number of a database: write a / of the password as %2F")
	}
	u.database = int(n)
	return nil
}

// readQuery reads the options.
func (u *redisURL) readQuery(text string, secure bool) error {
	query, err := url.ParseQuery(text)
	if err != nil {
		return errors.New("the URL's query cannot be read")
	}
	var files tlsFiles
	options := map[string]func(string) error{
		"pool_size":     func(v string) (err error) { u.poolSize, err = countOf(v); return err },
		"dial_timeout":  timeout(&u.dialTimeout),
		"read_timeout":  timeout(&u.readTimeout),
		"write_timeout": timeout(&u.writeTimeout),
		"pool_timeout":  timeout(&u.poolTimeout),
	}
	if u.shape == sentinel {
		options["sentinel_user"] = nonEmpty(&u.sentinelUser)
		options["sentinel_password"] = nonEmpty(&u.sentinelPassword)
	}
	if secure {
		options["ca_file"], options["cert_file"], options["key_file"] = nonEmpty(&files.ca), nonEmpty(&files.cert), nonEmpty(&files.key)
		options["server_name"] = nonEmpty(&files.serverName)
	}
	names := make([]string, 0, len(options))
	for name := range options {
		names = append(names, name)
	}
	slices.Sort(names)
	for name, values := range query {
		set, known := options[name]
		switch {
		case !known:
			return fmt.Errorf("the URL has an option %q that does nothing; there are %s", name, strings.Join(names, ", "))
		case len(values) > 1:
			return fmt.Errorf("the URL has the option %s twice", name)
		}
		if err := set(values[0]); err != nil {
			return fmt.Errorf("the URL's option %s: %w", name, err)
		}
	}
	if u.sentinelUser != "" && u.sentinelPassword == "" {
		return errors.New("the URL's option sentinel_user does nothing without sentinel_password")
	}
	if secure {
		u.tls, err = files.config()
	}
	return err
}

// nonEmpty sets a text.
func nonEmpty(to *string) func(string) error {
	return func(v string) error {
		if *to = v; v == "" {
			return errors.New("empty")
		}
		return nil
	}
}

func countOf(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("must be a number from 1 to 65535")
	}
	return int(n), nil
}

func timeout(to *time.Duration) func(string) error {
	return func(v string) (err error) {
		if *to, err = time.ParseDuration(v); err != nil || *to < time.Millisecond || *to > time.Minute {
			return errors.New("must be from 1ms to 1m, such as 250ms")
		}
		return nil
	}
}

// tlsFiles are the options of TLS.
type tlsFiles struct{ ca, cert, key, serverName string }

// config trusts the system's CAs where no file names others. The certificate is read again
// for each connection, so that one that was renewed needs no restart.
func (f tlsFiles) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.serverName}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("the URL's option ca_file: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the URL's option ca_file: no certificate in %s", f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("the URL's options cert_file and key_file go together")
	}
	if f.cert != "" {
		read := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.cert, f.key)
			return &pair, err
		}
		if _, err := read(); err != nil {
			return nil, fmt.Errorf("the URL's options cert_file and key_file: %w", err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return read() }
	}
	return c, nil
}
