package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// MarkUsed notes when keys were used last, one script for each consumer. A consumer that
// is not there is left out.
func (r *Redis) MarkUsed(ctx context.Context, uses []Use) (err error) {
	defer r.observe("mark_used", time.Now(), &err)
	byConsumer := map[string][]any{}
	for _, u := range uses {
		byConsumer[u.Consumer] = append(byConsumer[u.Consumer], u.Key, u.At.Unix()/60)
	}
	_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for consumer, args := range byConsumer {
			keys := []string{consumerKey(consumer), consumerUsedKey(consumer)}
			for some := range slices.Chunk(args, 2*chunk) {
				usedScript.Eval(ctx, p, keys, some...)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark keys as used: %w", err)
	}
	return nil
}

// usedAt reads the minute of a last use; zero when there is none, or when it is older than
// the key: then it is that of another one, which had the same id.
func usedAt(minute string, created time.Time) time.Time {
	n, err := strconv.ParseInt(minute, 10, 64)
	if err != nil || n < created.Unix()/60 {
		return time.Time{}
	}
	return time.Unix(60*n, 0).UTC()
}
