package policy

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Attempts is a Throttle that gives each address a bucket of failed attempts (GCRA). It
// remembers at most 65,536 addresses: when more of them fail, those are forgotten first
// whose bucket is nearest to full.
type Attempts struct {
	interval, room time.Duration
	now            func() time.Time
	epoch          time.Time // what the times of addresses count from
	seed           maphash.Seed
	shards         [attemptShards]attemptShard
}

const (
	attemptShards   = 64
	attemptsInShard = 1 << 16 / attemptShards
)

// attemptShard has the addresses of which there is something to remember, and the time at
// which the bucket of each is full again, since the epoch.
type attemptShard struct {
	mu     sync.RWMutex
	fullAt map[netip.Addr]time.Duration
}

// NewAttempts makes a throttle of a rate that Check accepts.
func NewAttempts(rate Rate, now func() time.Time) *Attempts {
	a := &Attempts{interval: rate.Interval(), now: now, epoch: now(), seed: maphash.MakeSeed()}
	a.room = time.Duration(rate.Burst) * a.interval
	for i := range a.shards {
		a.shards[i].fullAt = map[netip.Addr]time.Duration{}
	}
	return a
}

func (a *Attempts) shard(ip netip.Addr) *attemptShard {
	return &a.shards[maphash.Comparable(a.seed, ip)%attemptShards]
}

// Wait is how long until there is one attempt in the bucket of an address.
func (a *Attempts) Wait(ip netip.Addr) time.Duration {
	s := a.shard(ip)
	s.mu.RLock()
	fullAt, known := s.fullAt[ip]
	s.mu.RUnlock()
	if !known {
		return 0
	}
	now := a.now().Sub(a.epoch)
	if fullAt-now > a.room {
		s.empty(ip, now+a.room)
	}
	return max(0, a.taken(fullAt, now)+a.interval-a.room)
}

// empty makes a bucket one that is empty now. The clock was set back, and it would stay
// empty until that has caught up.
func (s *attemptShard) empty(ip netip.Addr, fullAt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fullAt[ip] = min(s.fullAt[ip], fullAt)
}

// taken is how long it takes until a bucket is full.
func (a *Attempts) taken(fullAt, now time.Duration) time.Duration {
	return min(max(0, fullAt-now), a.room)
}

// Failed takes an attempt out of the bucket of an address. More can fail at the same time
// than are in it, which leaves it empty.
func (a *Attempts) Failed(ip netip.Addr) {
	now := a.now().Sub(a.epoch)
	s := a.shard(ip)
	s.mu.Lock()
	defer s.mu.Unlock()
	fullAt, known := s.fullAt[ip]
	if !known && len(s.fullAt) >= attemptsInShard {
		s.makeRoom(now)
	}
	s.fullAt[ip] = now + min(a.taken(fullAt, now)+a.interval, a.room)
}

// makeRoom forgets all whose bucket is full, else the one of a few that is nearest to it.
// The few are those that the map's order of the moment puts first, which nobody can choose.
func (s *attemptShard) makeRoom(now time.Duration) {
	var nearest netip.Addr
	var soonest time.Duration
	few := 16
	for ip, fullAt := range s.fullAt {
		if fullAt <= now {
			delete(s.fullAt, ip)
		} else if !nearest.IsValid() || fullAt < soonest {
			nearest, soonest = ip, fullAt
		}
		if few--; few == 0 {
			break
		}
	}
	if len(s.fullAt) >= attemptsInShard {
		delete(s.fullAt, nearest)
	}
}
