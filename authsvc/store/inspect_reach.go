package store

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// unreachable says why a server could not be asked, and what to change.
func (n *redisNode) unreachable(ctx context.Context, err error) Finding {
	var answer redis.Error
	var dns *net.DNSError
	host, port, _ := net.SplitHostPort(n.addr)
	switch {
	case errors.As(err, &answer):
		return n.refused(answer.Error())
	case errors.As(err, &dns):
		return fail(fmt.Sprintf("the name %s leads to no address: %s", dns.Name, dns.Err), "correct the host in store, or the name in DNS or /etc/hosts")
	case errors.Is(err, syscall.ECONNREFUSED):
		change := "start it, or correct host and port in store"
		if !isLoopback(host) {
			change += "; or redis.conf: bind with that address, if it only listens on its own machine"
		}
		return fail("the connection is refused: nothing listens at "+n.addr, change)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fail("there is no way to "+n.addr, "correct the host in store, or the route to it")
	}
	if n.url.tls != nil && isLost(err) {
		err = n.handshake(ctx, err)
	}
	if f, ok := n.brokenTLS(err); ok {
		return f
	}
	switch {
	case n.url.tls == nil && isLost(err) && speaksTLS(ctx, n.addr):
		return fail("it speaks TLS at this port, and store does not", "in store: rediss:// instead of redis://")
	case n.url.tls != nil && speaksPlain(ctx, n.addr):
		return fail("it does not speak TLS at this port", "in store: the port of TLS, or redis:// instead of rediss://; redis.conf: tls-port "+port)
	case isLost(err):
		return fail("it closes the connection before it answers", "see the server's log (maxclients? another program at that port?)")
	case isTimeout(err) && accepts(ctx, n.addr):
		return fail("it takes connections and does not answer within "+timeText(inspectReply),
			"see whether the process hangs or swaps, or a command runs long: `redis-cli -h "+host+" -p "+port+" --latency`, SLOWLOG GET; else restart it")
	case isTimeout(err):
		return fail("no answer to connecting to "+n.addr+" within "+timeText(inspectReply), "see whether that machine is up, and what a firewall between drops; or correct the host in store")
	}
	return fail("it cannot be asked: "+err.Error(), "see the server's log")
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// refused says what a server meant that answered with an error.
func (n *redisNode) refused(answer string) Finding {
	login := "in store: redis://USER:PASSWORD@HOST, with / ? # @ : % of the password as %2F %3F %23 %40 %3A %25"
	if n.sentinel {
		login = "in store: ?sentinel_user=USER&sentinel_password=PASSWORD"
	}
	for _, of := range []struct{ begins, found, change string }{
		{"NOAUTH", "it wants a password", login},
		{"WRONGPASS", "it has no user " + n.user() + " with this password", login + "; or on the server: ACL SETUSER " + n.user() + " on >PASSWORD"},
		{"ERR AUTH <password> called without any", "it has no password, and store has one", "redis.conf: requirepass, or take the password out of store"},
		{"NOPERM", "user " + n.user() + " may not do what every connection begins with: " + answer, "ACL SETUSER " + n.user() + " +ping +select"},
		{"LOADING", "it is reading its data, and answers when it has", "wait; `redis-cli info persistence` tells loading_eta_seconds"},
		{"BUSY ", "a script runs, and nothing else until it ends", "redis-cli script kill"},
		{"MASTERDOWN", "it is a replica without its master", "in store: the master; or start that"},
		{"DENIED", "it is in protected mode, and takes nobody from another machine", "redis.conf: a user with a password (aclfile, or requirepass), then protected-mode no"},
		{"ERR max number of clients", "it has as many connections as it takes", "redis.conf: maxclients 20000, or a smaller ?pool_size in store"},
		{"ERR DB index is out of range", fmt.Sprintf("it has no database %d", n.url.database), "in store: a lower number behind the /; or redis.conf: databases"},
		{"ERR SELECT is not allowed in cluster mode", "it is a node of a cluster, which has no numbered databases", "in store: redis+cluster://HOST,HOST without a path"},
	} {
		if strings.HasPrefix(answer, of.begins) {
			return fail(of.found, of.change)
		}
	}
	return fail("it refuses: "+answer, "see the server's log")
}

// brokenTLS is for certificates that are not believed, of either side.
func (n *redisNode) brokenTLS(err error) (Finding, bool) {
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var remote *net.OpError
	switch {
	case errors.As(err, &name):
		names := name.Certificate.DNSNames
		for _, ip := range name.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
		change := "a certificate for " + name.Host
		if len(names) > 0 {
			change = "in store: ?server_name=" + names[0] + ", or " + change
		}
		return fail("its certificate is for "+listText(names)+", not for "+name.Host, change), true
	case errors.As(err, &unknown):
		return fail("its certificate is of a CA that is not trusted here", "in store: ?ca_file=/path/to/ca.crt"), true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		now := n.now()
		if now.Before(invalid.Cert.NotBefore) {
			return fail("its certificate begins at "+invalid.Cert.NotBefore.Format(time.RFC3339), "set this machine's clock"), true
		}
		return fail("its certificate ended at "+invalid.Cert.NotAfter.Format(time.RFC3339), "renew it: redis.conf: tls-cert-file, tls-key-file"), true
	case errors.As(err, &invalid):
		return fail("its certificate is not good: "+invalid.Error(), "another certificate: redis.conf: tls-cert-file, tls-key-file"), true
	case errors.As(err, &remote) && remote.Op == "remote error":
		return fail("it refuses our certificate, or that there is none: "+remote.Err.Error(),
			"in store: ?cert_file=…&key_file=… of a CA in the server's tls-ca-cert-file; or redis.conf: tls-auth-clients no"), true
	}
	return Finding{}, false
}

// handshake connects once more and only listens. A server that refuses our certificate says
// so behind the handshake, which is lost when we have written meanwhile.
func (n *redisNode) handshake(ctx context.Context, before error) error {
	ctx, cancel := context.WithTimeout(ctx, lookAgain)
	defer cancel()
	conn, err := (&tls.Dialer{Config: n.url.tls}).DialContext(ctx, "tcp", n.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(lookAgain))
	if _, err := conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
		return err
	}
	return before
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// lookAgain bounds a second look at a server that could not be asked.
const lookAgain = 300 * time.Millisecond

// accepts tells whether a server takes connections.
func accepts(ctx context.Context, addr string) bool {
	conn, err := (&net.Dialer{Timeout: lookAgain}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// speaksTLS tells whether a server begins a handshake, whatever its certificate.
func speaksTLS(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookAgain)
	defer cancel()
	began := false
	d := &tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify:    true, // nothing is sent
		MinVersion:            tls.VersionTLS12,
		VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { began = true; return nil },
	}}
	if conn, err := d.DialContext(ctx, "tcp", addr); err == nil {
		_ = conn.Close()
	}
	return began
}

// speaksPlain tells whether a server answers without TLS, as a Redis would.
func speaksPlain(ctx context.Context, addr string) bool {
	conn, err := (&net.Dialer{Timeout: lookAgain}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(lookAgain))
	_, _ = conn.Write([]byte("PING\r\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-")
}

// notKnown is for what a command would have told that failed.
func notKnown(command string, err error) Finding {
	switch {
	case isNoPerm(err):
		return warn("not known: this user may not run "+command,
			"run doctor with another user: STILE_STORE=redis://USER:PASSWORD@HOST stile doctor store -c …")
	case errors.Is(err, errRefused), isOutage(err):
		return fail("not known: no answer to "+command+": "+err.Error(), "see the server's log, and run doctor again")
	}
	return warn("not known: "+command+": "+err.Error(), "see the server's log")
}

func isNoPerm(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOPERM") }
