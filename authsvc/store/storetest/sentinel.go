package storetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Sentinel is a master with one replica, and three Sentinels of whom two decide.
type Sentinel struct {
	URL       string   // redis+sentinel://, and every Sentinel
	Redis     []*Redis // the first begins as the master
	Sentinels []*Redis
}

// masterName is what the Sentinels call the master.
const masterName = "main"

// StartSentinel starts all of them, waits until the Sentinels know each other and the replica,
// which is in sync, and ends them with the test. A master that is gone is replaced after about
// a second. The arguments are for the servers; with TLS and ACL the Sentinels are so, too.
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	s := &Sentinel{Redis: startServers(t, 2, args, serverLine(args))}
	master, replica := s.Redis[0], s.Redis[1]
	host, port, _ := net.SplitHostPort(master.Addr)
	replica.do(t, "replicaof", host, port)
	Eventually(t, "the replica is in sync", func() bool {
		info, err := replica.admin.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	s.Sentinels = startServers(t, 3, args, sentinelLine(t, args, master.Addr))
	hosts := make([]string, len(s.Sentinels))
	for i, one := range s.Sentinels {
		hosts[i] = one.Addr
		one.do(t, "sentinel", "debug", "info-period", 100, "ping-period", 300, "publish-period", 100,
			"min-link-reconnect-period", 100, "election-timeout", 1000)
		// Not all at the same time, or each votes for itself, and they begin anew.
		one.do(t, "sentinel", "set", masterName, "down-after-milliseconds", []int{600, 800, 1400}[i])
	}
	s.URL = master.urlOf("redis+sentinel", strings.Join(hosts, ","), "/"+masterName)
	s.WaitWhole(t)
	return s
}

// sentinelLine are the arguments of a Sentinel. It keeps what it learns in its configuration.
func sentinelLine(t testing.TB, args []string, master string) func(*Redis, string) []string {
	t.Helper()
	return func(r *Redis, port string) []string {
		text := fmt.Sprintf("bind 127.0.0.1\ndir %q\n", r.dir)
		if r.tls != nil {
			text += "port 0\ntls-port " + port + "\n"
			for _, name := range []string{"tls-ca-cert-file", "tls-cert-file", "tls-key-file", "tls-auth-clients", "tls-replication"} {
				text += fmt.Sprintf("%s %q\n", name, argument(args, "--"+name))
			}
		} else {
			text += "port " + port + "\n"
		}
		host, masterPort, _ := net.SplitHostPort(master)
		text += fmt.Sprintf("sentinel monitor %s %s %s 2\n", masterName, host, masterPort)
		text += fmt.Sprintf("sentinel failover-timeout %s 1000\n", masterName)
		if r.acl != "" {
			text += fmt.Sprintf("aclfile %q\n", filepath.Join(filepath.Dir(r.acl), sentinelACL))
			text += fmt.Sprintf("sentinel auth-user %[1]s sentinel\nsentinel auth-pass %[1]s %[2]q\n", masterName, password)
			text += fmt.Sprintf("sentinel sentinel-user sentinel\nsentinel sentinel-pass %q\n", password)
		}
		file := filepath.Join(r.dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{file, "--sentinel"}
	}
}

// WaitWhole waits until the Sentinels that have not ended know each other, and one master with
// one replica, neither of which they take for down.
func (s *Sentinel) WaitWhole(t testing.TB) {
	t.Helper()
	Eventually(t, "every Sentinel knows the others, the master and the replica", func() bool {
		for _, one := range s.Sentinels {
			if !one.ended() && !one.seesAll(t.Context()) {
				return false
			}
		}
		return true
	})
}

func (r *Redis) seesAll(ctx context.Context) bool {
	master := redis.NewMapStringStringCmd(ctx, "sentinel", "master", masterName)
	replicas := redis.NewMapStringStringSliceCmd(ctx, "sentinel", "replicas", masterName)
	if r.admin.Process(ctx, master) != nil || r.admin.Process(ctx, replicas) != nil || len(replicas.Val()) != 1 {
		return false
	}
	replica := replicas.Val()[0]
	return master.Val()["flags"] == "master" && master.Val()["num-other-sentinels"] == "2" &&
		replica["flags"] == "slave" && replica["master-link-status"] == "ok"
}

// Master is the server that all Sentinels that have not ended take for the master, and that is
// one, as soon as there is one.
func (s *Sentinel) Master(t testing.TB) (master *Redis) {
	t.Helper()
	Eventually(t, "there is one master", func() bool {
		addr := ""
		for _, one := range s.Sentinels {
			if one.ended() {
				continue
			}
			at, err := one.masterAddr(t.Context())
			if err != nil || addr != "" && at != addr {
				return false
			}
			addr = at
		}
		for _, r := range s.Redis {
			if r.Addr == addr && !r.ended() {
				master = r
			}
		}
		return master != nil && master.isMaster(t.Context())
	})
	return master
}

func (r *Redis) masterAddr(ctx context.Context) (string, error) {
	at := redis.NewStringSliceCmd(ctx, "sentinel", "get-master-addr-by-name", masterName)
	if err := r.admin.Process(ctx, at); err != nil {
		return "", err
	}
	return strings.Join(at.Val(), ":"), nil
}

func (r *Redis) isMaster(ctx context.Context) bool {
	info, err := r.admin.Info(ctx, "replication").Result()
	return err == nil && strings.Contains(info, "role:master")
}

// Failover kills the master, and answers the one that has come in its place.
func (s *Sentinel) Failover(t testing.TB) *Redis {
	t.Helper()
	s.Master(t).Kill()
	return s.Master(t)
}
