package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limit bounds how much is done: at a rate, or by a quota for each calendar period. One of
// Rate and Quota is set.
type Limit struct {
	Name         string // letters, digits and hyphens
	Per          Per
	Rate         Rate
	Quota        Quota
	Mode         LimitMode
	OnStoreError OnStoreError
}

// Rate is a bucket that holds Burst and is refilled by Count in each Period (GCRA).
type Rate struct {
	Count  int64
	Period time.Duration
	Burst  int64 // the most that can be spent at once
}

// Quota is a count that begins anew with each period.
type Quota struct {
	Count  int64
	Period Period
	// Anchor is the day of the month, 1 to 28, on which a month or year begins; in UTC, as
	// every period.
	Anchor int
}

// Period is a calendar period.
type Period string

// The periods of a quota. A week begins on Monday.
const (
	Minute Period = "minute"
	Hour   Period = "hour"
	Day    Period = "day"
	Week   Period = "week"
	Month  Period = "month"
	Year   Period = "year"
)

// Per is what a limit counts by: one counter for each.
type Per struct {
	Kind  PerKind
	Claim ClaimPath // for PerClaim
}

// PerKind says whose requests are counted together.
type PerKind string

// The kinds. PerClaim counts the values of a claim apart within each consumer.
const (
	PerConsumer PerKind = "consumer"
	PerKey      PerKind = "key"
	PerIP       PerKind = "ip" // a /64 where it is of IPv6
	PerRoute    PerKind = "route"
	PerClaim    PerKind = "claim"
)

// LimitMode says how exact a limit is.
type LimitMode string

// Exact asks the store about each request. LocalSync decides in the process by leases that it
// draws from the store ten times a second. A quota stays exact; a rate can be exceeded for a
// moment, by the leases that are outstanding when its bucket has filled up again.
const (
	Exact     LimitMode = "exact"
	LocalSync LimitMode = "local_sync"
)

// OnStoreError says what a limit does while the store does not answer.
type OnStoreError string

// Count in this process alone, let everything through, or refuse as Unavailable.
const (
	OnErrorLocal OnStoreError = "local"
	OnErrorAllow OnStoreError = "allow"
	OnErrorDeny  OnStoreError = "deny"
)

// Interval is the time in which one is refilled, in whole microseconds, rounded up: a
// bucket is never refilled faster than its rate says.
func (r Rate) Interval() time.Duration {
	micros := r.Period.Microseconds()
	return time.Duration((micros+r.Count-1)/r.Count) * time.Microsecond
}

// maxMicros bounds the time in which a bucket is refilled, and so what it holds: a Lua
// number, an IEEE double, holds it exactly beside the time of day, and an Integer of a
// header field has 15 digits (RFC 9651 §3.3.1).
const maxMicros = int64(1) << 49

// knowsCaller tells whether it counts by who somebody is.
func (l *Limit) knowsCaller() bool { return l.Per.Kind != PerIP && l.Per.Kind != PerRoute }

// most is what can be spent at once at the best of times.
func (l *Limit) most() int64 {
	if l.Quota.Count > 0 {
		return l.Quota.Count
	}
	return l.Rate.Burst
}

// Check tells what is wrong with a limit, or nil.
func (l *Limit) Check() error {
	isRate, isQuota := l.Rate != Rate{}, l.Quota != Quota{}
	switch {
	case !isLimitName(l.Name):
		return fmt.Errorf("name %q: letters, digits and hyphens, at most 64", clip(l.Name))
	case isRate == isQuota:
		return errors.New("a limit has a rate or a quota, one of the two")
	case !slices.Contains([]PerKind{PerConsumer, PerKey, PerIP, PerRoute, PerClaim}, l.Per.Kind):
		return fmt.Errorf("per %q is none of consumer, key, ip, route, claim", clip(string(l.Per.Kind)))
	case (l.Per.Kind == PerClaim) == l.Per.Claim.IsZero():
		return errors.New("per: claim: names a claim, and nothing else does")
	case l.Mode != Exact && l.Mode != LocalSync:
		return fmt.Errorf("mode %q is none of exact, local_sync", clip(string(l.Mode)))
	case !slices.Contains([]OnStoreError{OnErrorLocal, OnErrorAllow, OnErrorDeny}, l.OnStoreError):
		return fmt.Errorf("on_store_error %q is none of local, allow, deny", clip(string(l.OnStoreError)))
	case isRate:
		return l.Rate.Check()
	}
	return l.Quota.check()
}

// isLimitName tells names that stand in a header field and in a store's keys as they are.
func isLimitName(name string) bool {
	return name != "" && len(name) <= 64 && IsPlainHeaderName(name)
}

// Check tells what is wrong with a rate, or nil.
func (r Rate) Check() error {
	switch {
	case r.Count < 1:
		return errors.New("a rate is at least 1")
	case r.Period < time.Second || r.Period > 366*24*time.Hour:
		return errors.New("a rate's period is from a second to a year")
	case r.Burst < 1:
		return errors.New("burst is at least 1")
	case r.Count > r.Period.Microseconds():
		return errors.New("the rate is above one a microsecond")
	case r.Burst > maxMicros/r.Interval().Microseconds():
		return errors.New("the burst takes longer to refill than can be counted")
	}
	return nil
}

// maxQuota is far from what a header field or a Lua number cannot hold.
const maxQuota = int64(1e12)

func (q Quota) check() error {
	switch q.Period {
	case Minute, Hour, Day, Week, Month, Year:
	default:
		return fmt.Errorf("period %q is none of minute, hour, day, week, month, year", clip(string(q.Period)))
	}
	monthly := q.Period == Month || q.Period == Year
	switch {
	case q.Count < 1 || q.Count > maxQuota:
		return fmt.Errorf("a quota is from 1 to %d", maxQuota)
	case !monthly && q.Anchor != 1:
		return errors.New("an anchor day goes with a month or a year")
	case q.Anchor < 1 || q.Anchor > 28:
		return errors.New("an anchor day is from 1 to 28, which every month has")
	}
	return nil
}

// Window is the period that holds a time: from its start up to its end.
func (q Quota) Window(at time.Time) (start, end time.Time) {
	at = at.UTC()
	year, month, day := at.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	switch q.Period {
	case Minute:
		start = at.Truncate(time.Minute)
		return start, start.Add(time.Minute)
	case Hour:
		start = at.Truncate(time.Hour)
		return start, start.Add(time.Hour)
	case Day:
		return midnight, midnight.AddDate(0, 0, 1)
	case Week:
		sinceMonday := (int(midnight.Weekday()) + 6) % 7
		start = midnight.AddDate(0, 0, -sinceMonday)
		return start, start.AddDate(0, 0, 7)
	case Month:
		start = time.Date(year, month, q.Anchor, 0, 0, 0, 0, time.UTC)
		if start.After(at) {
			start = start.AddDate(0, -1, 0)
		}
		return start, start.AddDate(0, 1, 0)
	default:
		start = time.Date(year, time.January, q.Anchor, 0, 0, 0, 0, time.UTC)
		if start.After(at) {
			start = start.AddDate(-1, 0, 0)
		}
		return start, start.AddDate(1, 0, 0)
	}
}

// Charge is one request's cost on one counter of a limit.
type Charge struct {
	Limit *Limit
	// Slot names whose counter it is: "c:<consumer>", "i:<identity>", "ip:<address>" or
	// "r:<route>". The charges of one slot are spent together, all or none.
	Slot string
	// Counter tells counters of one limit in one slot apart: "", "key:<hash>" or
	// "claim:<hash>".
	Counter string
	Cost    int64 // at least 1
}

// Balance is how a counter stands after a charge.
type Balance struct {
	Limit      *Limit
	Allowed    bool          // whether this counter had room; the charge was spent if all of its slot had
	Remaining  int64         // what can be spent at once now
	Reset      time.Duration // until the bucket is full, or the period ends
	RetryAfter time.Duration // where it is not allowed, until it would be
}

// Meter spends charges: all of a slot or none, in one round trip for each slot. Slots are
// spent in the order in which they first come, and the first one that refuses is the last
// that is asked. The balances are in the order of the charges, as far as these were asked
// for; the error is for when it cannot know.
type Meter interface {
	Spend(context.Context, []Charge) ([]Balance, error)
}
