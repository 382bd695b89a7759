package config

import (
	"time"

	"github.com/stile-gate/stile/policy"
)

// Throttle bounds how often one address presents bad credentials. Written `off`, it is
// zero and there is none.
type Throttle struct {
	Failures policy.Rate `yaml:"failures"` // default 60/min
	Burst    int         `yaml:"burst"`    // 0 for as much as the count of Failures
}

func (t *Throttle) setDefaults() {
	t.Failures = policy.Rate{Count: 60, Period: time.Minute, Burst: 60}
}

// Rate is the same in the terms of a decision, and whether there is one.
func (t Throttle) Rate() (rate policy.Rate, on bool) {
	rate = t.Failures
	if t.Burst != 0 {
		rate.Burst = int64(t.Burst)
	}
	return rate, rate.Count > 0
}

func (c *Config) checkThrottle(r *report) {
	path := at("throttle")
	rate, on := c.Throttle.Rate()
	switch {
	case !on || !r.has(path) || r.touched(path):
	case len(c.Authenticators) == 0 && !r.touched(at("authenticators")):
		r.errorf(path, "throttle: does nothing: there are no authenticators")
	default:
		checkAmount(r, path, "burst", c.Throttle.Burst, rate.Check())
	}
}
