package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// catchUp is how long a replica of stile may take to apply what was announced before: it
// tells every half a second how far it is.
const catchUp = time.Second

// inspectStiles looks at the processes that follow the changes, through the very client that
// they use.
func inspectStiles(ctx context.Context, rawURL string, now func() time.Time) Finding {
	r, err := OpenRedis(rawURL)
	if err != nil {
		return fail(err.Error(), "correct the URL of store")
	}
	defer func() { _ = r.Close() }()
	r.Now = now
	return check[*Redis]{"stile", (*Redis).checkReplicas}.of(ctx, r, "")
}

func (r *Redis) checkReplicas(ctx context.Context) Finding {
	last, err := r.client.Get(ctx, changesCount).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return notKnown("GET", err)
	}
	list, err := r.Replicas(ctx)
	if err != nil {
		return notKnown("EVALSHA", err)
	}
	if len(list) == 0 {
		return fine("no stile runs on it, as far as it knows")
	}
	wait, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	slow, err := r.WaitApplied(wait, last)
	if err != nil {
		return notKnown("EVALSHA", err)
	}
	for _, one := range list {
		isSlow := slices.ContainsFunc(slow, func(s Replica) bool { return s.ID == one.ID })
		if one.Seen >= unhealthy && !isSlow {
			slow = append(slow, one)
		}
	}
	return judgeReplicas(list, slow, last)
}

// judgeReplicas says who of all is behind the last change, or silent.
func judgeReplicas(list, slow []Replica, last int64) Finding {
	if len(slow) == 0 {
		return fine("%s up to date, at change %d", countText(len(list), "replica of stile is", "replicas of stile are"), last)
	}
	var texts []string
	for _, one := range slow {
		text := fmt.Sprintf("%s (%s)", one.Host, one.ID)
		if missing := last - one.Applied; missing > 0 {
			text += " is " + countText(int(missing), "change behind", "changes behind")
		}
		texts = append(texts, text+", heard of "+timeText(one.Seen)+" ago")
	}
	return warn(fmt.Sprintf("%d of %s: %s", len(slow), countText(len(list), "replica of stile", "replicas of stile"), listText(texts)),
		"see whether it runs and reaches Redis (its log: `changes are not followed`); one that was killed is off the list after ten minutes")
}
