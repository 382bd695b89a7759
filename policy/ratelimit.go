package policy

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The fields by which a client learns of its limits (draft-ietf-httpapi-ratelimit-headers-11),
// in net/http's canonical form.
const (
	HeaderRateLimit       = "Ratelimit"
	HeaderRateLimitPolicy = "Ratelimit-Policy"
)

// LimitFields are RateLimit-Policy and RateLimit, none where no limit applies. Quantities
// are in requests, or in what the route says that one costs; times in seconds.
func (d *Decision) LimitFields() []Field {
	if len(d.Balances) == 0 {
		return nil
	}
	var policies, balances strings.Builder
	for i, b := range d.Balances {
		if i > 0 {
			policies.WriteString(", ")
			balances.WriteString(", ")
		}
		quantity, window := b.Limit.advertised()
		writeItem(&policies, b.Limit.Name, ";q=", quantity, ";w=", window)
		writeItem(&balances, b.Limit.Name, ";r=", max(0, b.Remaining), ";t=", seconds(b.Reset))
	}
	return []Field{{HeaderRateLimitPolicy, policies.String()}, {HeaderRateLimit, balances.String()}}
}

// SetLimitFields sets them, in place of others of their names.
func (d *Decision) SetLimitFields(h http.Header) {
	for _, f := range d.LimitFields() {
		h[f.Name] = []string{f.Value}
	}
}

// writeItem writes a String with two parameters (RFC 9651 §3.3). A limit's name is plain.
func writeItem(b *strings.Builder, name, key1 string, value1 int64, key2 string, value2 int64) {
	b.WriteString(`"` + name + `"` + key1)
	b.WriteString(strconv.FormatInt(value1, 10))
	b.WriteString(key2)
	b.WriteString(strconv.FormatInt(value2, 10))
}

// advertised is how much can be spent at most at once, and the seconds after which all of
// it has come back. Of a month or year, the longest.
func (l *Limit) advertised() (quantity, window int64) {
	if l.Quota.Count == 0 {
		return l.Rate.Burst, seconds(l.Rate.Interval() * time.Duration(l.Rate.Burst))
	}
	return l.Quota.Count, seconds(l.Quota.Period.longest())
}

// longest is how long a period lasts at most.
func (p Period) longest() time.Duration {
	const day = 24 * time.Hour
	switch p {
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	case Day:
		return day
	case Week:
		return 7 * day
	case Month:
		return 31 * day
	default:
		return 366 * day
	}
}

// retryAfter is the Retry-After of a refusal in seconds, 0 for none.
func (d *Decision) retryAfter() int64 {
	switch d.Reason {
	case Unavailable:
		return 1
	case RateLimited, QuotaExceeded:
		wait := d.Wait
		for _, b := range d.Balances {
			if !b.Allowed {
				wait = max(wait, b.RetryAfter)
			}
		}
		return max(1, seconds(wait))
	}
	return 0
}

// seconds rounds up: who waits that long has waited long enough.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
