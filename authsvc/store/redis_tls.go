package store

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
)

// dialTLS connects by TLS. go-redis looks at the socket of an idle connection before it uses
// that, so that one which the server has closed is not used; at that of a tls.Conn it does
// not, and each that was closed would cost a request.
func (u redisURL) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, u.dialTimeout)
	defer cancel()
	d := &tls.Dialer{NetDialer: &net.Dialer{KeepAlive: idleTime}, Config: u.tls}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	secure := conn.(*tls.Conn)
	if raw, ok := secure.NetConn().(syscall.Conn); ok {
		return tlsConn{secure, raw}, nil
	}
	return conn, nil
}

// tlsConn shows the socket that is under it.
type tlsConn struct {
	*tls.Conn
	raw syscall.Conn
}

func (c tlsConn) SyscallConn() (syscall.RawConn, error) { return c.raw.SyscallConn() }
