package store

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"math"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// Source is what a cache asks when it does not know. It answers nil, nil for what is not
// there, and an error when it cannot know.
type Source interface {
	Credential(ctx context.Context, hash string) (*Credential, error)
	Consumer(ctx context.Context, id string) (*Consumer, error)
}

// CacheOptions says what a cache stands before and how long it may remember. A zero bound
// or time is its default; a negative time is none.
type CacheOptions struct {
	Source Source
	Static *Static // asked before the source; nil for none
	Pepper policy.Pepper
	Old    []policy.Pepper // with which keys may be hashed, too
	Rehash *Rehasher       // moves keys that are hashed with another than Pepper; nil for none

	Entries         int           // found ones of each kind at most, default 200,000
	NegativeEntries int           // unknown ones of each kind at most, default 20,000
	TTL             time.Duration // how long a found one is good, ±10 %, default 30s
	NegativeTTL     time.Duration // how long an unknown one is not asked for again, ±10 %, default 5s
	StaleGrace      time.Duration // how long beyond TTL while the source fails, default 5m

	Now func() time.Time // time.Now by default
	// Count hears of every look-up: the cache is "credential" or "consumer", the result
	// "hit", "miss", "negative", "stale" or "error". Nil for none.
	Count func(cache, result string)
}

func (o CacheOptions) withDefaults() CacheOptions {
	orDefault(&o.Entries, 200_000)
	orDefault(&o.NegativeEntries, 20_000)
	orDefault(&o.TTL, 30*time.Second)
	orDefault(&o.NegativeTTL, 5*time.Second)
	orDefault(&o.StaleGrace, 5*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	return o
}

func orDefault[T comparable](option *T, value T) {
	if *option == *new(T) {
		*option = value
	}
}

// Cache remembers what a source answered, in this process alone. It remembers what was
// found, never a decision about it: whoever asks checks expiry and status each time.
type Cache struct {
	source      Source
	static      *Static
	peppers     Peppers
	now         func() time.Time
	shared      *shared
	credentials *lookup[digest, policy.Identity]
	consumers   *lookup[string, policy.Consumer]
}

// NewCache makes an empty cache. It starts nothing that would have to be stopped.
func NewCache(o CacheOptions) *Cache {
	o = o.withDefaults()
	s := &shared{options: o, epoch: o.Now()}
	s.forgotten.seed = maphash.MakeSeed()
	return &Cache{
		source: o.Source, static: o.Static, peppers: Peppers{o.Pepper, o.Old, o.Source, o.Rehash}, now: o.Now, shared: s,
		credentials: newLookup[digest]("credential", s, func(found *policy.Identity) dependence {
			return dependence{s.forgotten.keyMark(found.ID), s.forgotten.consumerMark(found.ConsumerID)}
		}),
		consumers: newLookup[string]("consumer", s, func(found *policy.Consumer) dependence {
			mark := s.forgotten.consumerMark(found.ID)
			return dependence{mark, mark}
		}),
	}
}

// Identify finds what the key that was presented proves, with its consumer; nil, nil when
// nobody has it, and an error when it cannot be known. What it finds is shared: read only.
func (c *Cache) Identify(ctx context.Context, presented policy.Secret) (*policy.Identity, error) {
	d := digestOf(presented)
	if found := c.static.plain(d); found != nil {
		c.credentials.count("hit")
		return found, nil
	}
	found, known := c.credentials.remembered(d, c.now())
	if known == certain {
		return found, nil
	}
	ask := func(ctx context.Context) (*policy.Identity, error) { return c.find(ctx, presented) }
	if known == askAhead {
		c.credentials.fly(ctx, d, string(d[:]), ask)
		return found, nil
	}
	for hash := range c.peppers.Hashes(presented) {
		if found := c.static.Identity(hash); found != nil {
			c.credentials.pin(d, found)
			return found, nil
		}
	}
	return c.credentials.ask(ctx, d, string(d[:]), ask)
}

// find asks the source.
func (c *Cache) find(ctx context.Context, presented policy.Secret) (*policy.Identity, error) {
	found, err := c.peppers.Find(ctx, presented)
	if found == nil || err != nil {
		return nil, err
	}
	return found.Identity(), nil
}

// digestOf hashes without allocating, as long as the key is not uncommonly long.
func digestOf(presented policy.Secret) digest {
	var room [128]byte
	return sha256.Sum256(append(room[:0], presented.Reveal()...))
}

// Consumer finds a consumer; nil, nil when there is none, and an error when it cannot be
// known. It is a policy.Directory. What it finds is shared: read only.
func (c *Cache) Consumer(ctx context.Context, id string) (*policy.Consumer, error) {
	if found := c.static.Consumer(id); found != nil {
		c.consumers.count("hit")
		return found, nil
	}
	found, known := c.consumers.remembered(id, c.now())
	if known == certain {
		return found, nil
	}
	if storable := policy.CheckID(id) == nil; !storable {
		c.consumers.count("negative")
		return nil, nil
	}
	id = strings.Clone(id) // what is remembered must not hold on to the token that it was cut from
	ask := func(ctx context.Context) (*policy.Consumer, error) {
		found, err := c.source.Consumer(ctx, id)
		if found == nil || err != nil {
			return nil, err
		}
		return &found.Consumer, nil
	}
	if known == askAhead {
		c.consumers.fly(ctx, id, id, ask)
		return found, nil
	}
	return c.consumers.ask(ctx, id, id, ask)
}

// ForgetKey drops the credential that is the key of an id. A look-up that is under way is
// not remembered if it finds that key, nor joined by those who ask from now on. It costs the
// same however much is cached, as do ForgetConsumer and ForgetNegative.
func (c *Cache) ForgetKey(id string) {
	f := &c.shared.forgotten
	f.add(&f.marks[f.keyMark(id)])
}

// ForgetConsumer drops a consumer and the credentials that have a copy of it.
func (c *Cache) ForgetConsumer(id string) {
	f := &c.shared.forgotten
	f.add(&f.marks[f.consumerMark(id)])
}

// ForgetNegative drops what is known not to be there: after something was created.
func (c *Cache) ForgetNegative() {
	f := &c.shared.forgotten
	f.add(&f.unknown)
}

// ForgetAll drops everything, and with it what could be served while the source is down.
func (c *Cache) ForgetAll() {
	f := &c.shared.forgotten
	f.add(&f.all, &f.unknown)
	c.credentials.clear()
	c.consumers.clear()
}

// Apply forgets what a change made different. Tokens are not kept here.
func (c *Cache) Apply(change Change) {
	switch change.Kind {
	case KeyChanged:
		c.ForgetKey(change.ID)
		c.ForgetNegative()
	case ConsumerChanged:
		c.ForgetConsumer(change.ID)
		c.ForgetNegative()
	case TokenChanged:
	default:
		c.ForgetAll()
	}
}

// Followed says whether somebody tells this cache what changes: the cache of a store that
// others change, too, has a Follower. While it is false, what was found is asked for again
// after 2 s. It is true at first.
func (c *Cache) Followed(yes bool) { c.shared.unfollowed.Store(!yes) }

// forever is later than any clock.
const forever = time.Duration(math.MaxInt64)
