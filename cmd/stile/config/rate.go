package config

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// units are the periods of a rate, in each way to write them.
var units = map[string]time.Duration{
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hour": time.Hour,
	"day": 24 * time.Hour,
}

// parseRate reads a count and a unit, such as 60/min. The burst is the count.
func parseRate(text string) (policy.Rate, error) {
	count, unit, err := parseAmount(text)
	period, ok := units[unit]
	switch {
	case err != nil:
		return policy.Rate{}, err
	case !ok:
		return policy.Rate{}, errors.New("the unit is one of s, min, h, day")
	}
	r := policy.Rate{Count: count, Period: period, Burst: count}
	if err := r.Check(); err != nil {
		return policy.Rate{}, err
	}
	return r, nil
}

// parseQuota reads a count and a calendar period, such as 100000/month. The anchor is 1.
func parseQuota(text string) (policy.Quota, error) {
	count, unit, err := parseAmount(text)
	if err != nil {
		return policy.Quota{}, err
	}
	switch period := policy.Period(unit); period {
	case policy.Minute, policy.Hour, policy.Day, policy.Week, policy.Month, policy.Year:
		return policy.Quota{Count: count, Period: period, Anchor: 1}, nil
	}
	return policy.Quota{}, errors.New("the period is one of minute, hour, day, week, month, year")
}

// parseAmount takes a decimal number without sign, space or leading zero from what stands
// behind the slash.
func parseAmount(text string) (count int64, unit string, err error) {
	number, unit, ok := strings.Cut(text, "/")
	if !ok || !decimal.MatchString(number) || number[0] == '-' {
		return 0, "", errForm
	}
	count, err = strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return 0, "", errors.New("the number is too large")
	case count == 0:
		return 0, "", errors.New("the number is at least 1")
	}
	return count, unit, nil
}

// parsePer reads what a limit counts by.
func parsePer(text string) (policy.Per, error) {
	kinds := []string{string(policy.PerConsumer), string(policy.PerKey), string(policy.PerIP), string(policy.PerRoute)}
	if path, ok := strings.CutPrefix(text, string(policy.PerClaim)+":"); ok {
		claim, err := policy.ParseClaimPath(path)
		return policy.Per{Kind: policy.PerClaim, Claim: claim}, err
	}
	for _, kind := range kinds {
		if text == kind {
			return policy.Per{Kind: policy.PerKind(kind)}, nil
		}
	}
	return policy.Per{}, errors.New("is none of " + strings.Join(kinds, ", ") + ", claim:<path>" + didYouMean(text, kinds))
}
