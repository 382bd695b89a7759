package store

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

const (
	followBlock   = 500 * time.Millisecond // how long one read waits for a change
	followTimeout = time.Second            // how much longer a server may take before it counts as gone
	minBackoff    = 50 * time.Millisecond
	maxBackoff    = time.Second
	unhealthy     = 5 * time.Second // without an answer
)

// FollowerOptions says what a follower follows and who hears of it. All that it calls, it
// calls from Run, one call at a time.
type FollowerOptions struct {
	Redis *Redis
	ID    string // of this replica, without spaces; random by default
	Host  string // for people; the host's name by default

	Apply func(Change) // forgets what became different
	Reset func()       // forgets everything: changes may have been missed

	// Healthy hears true when all changes up to now are applied for the first time, false
	// when the log could not be followed for 5 s, and true when that is over.
	Healthy func(bool)
	// Lag hears, for each batch of changes, how long ago the oldest was made, by the
	// server's clock, when all were applied.
	Lag func(time.Duration)
	// Failed hears why the log cannot be followed, at every attempt.
	Failed func(error)
	Now    func() time.Time // time.Now by default
}

func (o FollowerOptions) withDefaults() FollowerOptions {
	orDefault(&o.ID, newNonce())
	if o.Host == "" {
		o.Host, _ = os.Hostname() // without a name there is still the id
	}
	o.Host = strings.ToValidUTF8(o.Host[:min(len(o.Host), 255)], "")
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Healthy == nil {
		o.Healthy = func(bool) {}
	}
	if o.Lag == nil {
		o.Lag = func(time.Duration) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	return o
}

// Follower follows the log of changes, and notes in Redis how far it has come. Where it may
// have missed one it forgets everything: a gap in the numbers, entries that are gone before
// they were read, a log that was begun anew, or one that a failover set back.
type Follower struct {
	options FollowerOptions

	at      position // the last change applied; zero until a place to begin is known
	healthy *bool    // what Healthy heard last
	lastOK  time.Time
	unheard int64 // when the oldest change was made that Lag has not heard of, in ms; 0 for none
}

// NewFollower makes a follower. Run does the work.
func NewFollower(o FollowerOptions) *Follower { return &Follower{options: o.withDefaults()} }

// ID is under what Replicas lists this process.
func (f *Follower) ID() string { return f.options.ID }

// Run follows the log until ctx ends, and then takes this replica off the list. It goes on
// where it was after a connection was lost.
func (f *Follower) Run(ctx context.Context) {
	f.lastOK = f.options.Now()
	backoff := minBackoff
	for ctx.Err() == nil {
		before := f.lastOK
		err := f.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		f.options.Failed(err)
		if f.lastOK != before {
			backoff = minBackoff
		}
		f.noteFailure()
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff/2)): // so that replicas do not come back together
		}
		backoff = min(2*backoff, maxBackoff)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followTimeout)
	defer cancel()
	_ = f.options.Redis.client.HDel(ctx, replicasKey, f.options.ID).Err() // else it is taken for one that is cut off
}

// follow works on one connection, and answers why that came to an end.
func (f *Follower) follow(ctx context.Context) error {
	log, err := f.options.Redis.openLog(ctx)
	if err != nil {
		return err
	}
	defer log.close()
	defer context.AfterFunc(ctx, log.close)() // a read that waits does not see that ctx ends

	if f.at.epoch != "" {
		if err := f.resume(ctx, log); err != nil {
			return err
		}
	}
	for {
		end, now, err := log.beat(ctx, f.options.ID, f.options.Host, f.at)
		if err != nil {
			return err
		}
		f.noteLag(now)
		if end.epoch != f.at.epoch || end.n < f.at.n {
			f.restart(end)
			continue
		}
		f.lastOK = f.options.Now()
		f.noteReached(end)
		if err := f.read(ctx, log, end, followBlock); err != nil {
			return err
		}
		f.noteReached(end)
	}
}

// resume goes on where an earlier connection ended. What was missed comes before the first
// beat: numbers that go on from an older copy of the log could otherwise hide that it was
// set back.
func (f *Follower) resume(ctx context.Context, log *changeLog) error {
	same, err := log.goesOn(ctx, f.at)
	if err != nil {
		return err
	}
	if !same {
		f.at = position{}
		return nil
	}
	return f.read(ctx, log, position{}, -1)
}

// restart goes on from a place in the log that was read before everything is forgotten: so
// whatever is looked up from now on is at least as new as that.
func (f *Follower) restart(from position) {
	f.options.Reset()
	f.at, f.unheard = from, 0
}

// read applies what follows. The log is known to go on to end at least: if nothing follows
// before that, it was removed.
func (f *Follower) read(ctx context.Context, log *changeLog, end position, block time.Duration) error {
	entries, err := log.after(ctx, f.at.id, block)
	if err != nil {
		return err
	}
	if len(entries) == 0 && end != (position{}) && end != f.at {
		f.restart(end)
		return nil
	}
	for _, m := range entries {
		at, change, ok := parseChange(m)
		switch {
		case !ok: // somebody else writes here: it may mean anything
			f.options.Reset()
			f.at.id = m.ID
			continue
		case at.epoch != f.at.epoch || at.n != f.at.n+1:
			f.at = position{} // the next beat tells where to go on
			return nil
		}
		f.options.Apply(change)
		f.at = at
		if f.unheard == 0 {
			f.unheard = entryTime(m.ID)
		}
	}
	return nil
}

// noteLag tells how old changes were when they were applied.
func (f *Follower) noteLag(now int64) {
	if f.unheard != 0 {
		f.options.Lag(time.Duration(max(now-f.unheard, 0)) * time.Millisecond)
		f.unheard = 0
	}
}

// noteReached tells that the log is followed when what was its end a moment ago is applied.
func (f *Follower) noteReached(end position) {
	if f.at.epoch == end.epoch && f.at.n >= end.n {
		f.tell(true)
	}
}

func (f *Follower) noteFailure() {
	if f.options.Now().Sub(f.lastOK) >= unhealthy {
		f.tell(false)
	}
}

// tell tells Healthy what is news.
func (f *Follower) tell(healthy bool) {
	if f.healthy == nil || *f.healthy != healthy {
		f.healthy = &healthy
		f.options.Healthy(healthy)
	}
}
