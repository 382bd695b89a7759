package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// changeLog is the log of changes on a connection of its own: a read waits there, and must
// neither hold one that a request needs, nor be repeated behind our back.
type changeLog struct{ client *redis.Client }

// openLog makes one to the server that has the log now. A client of a whole cluster would
// repeat a read at another node.
func (r *Redis) openLog(ctx context.Context) (*changeLog, error) {
	nodes, isCluster := r.client.(*redis.ClusterClient)
	if !isCluster {
		return &changeLog{r.url.connect(1, 0).(*redis.Client)}, nil
	}
	node, err := nodes.MasterForKey(ctx, changesLog)
	if err != nil {
		return nil, fmt.Errorf("find the log of changes: %w", err)
	}
	o := *node.Options()
	o.PoolSize, o.MaxActiveConns, o.MaxRetries = 1, 1, -1
	return &changeLog{redis.NewClient(&o)}, nil
}

// close ends what is under way, too.
func (l *changeLog) close() { _ = l.client.Close() }

// beat notes that a replica lives and has applied the changes up to a place. It answers
// where the log ends, and the server's time in ms.
func (l *changeLog) beat(ctx context.Context, id, host string, at position) (end position, now int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	keys := []string{replicasKey, changesLog, changesCount, changesEpoch}
	row, err := beatScript.Run(ctx, l.client, keys, newNonce(), id, host, at.epoch, at.n).Result()
	if err != nil {
		return end, 0, fmt.Errorf("note a replica: %w", err)
	}
	answer, ok := texts(row, 4)
	if !ok {
		return end, 0, fmt.Errorf("note a replica: %w", ErrCorrupt)
	}
	n, err := strconv.ParseInt(answer[1], 10, 64)
	now, err2 := strconv.ParseInt(answer[3], 10, 64)
	if errors.Join(err, err2) != nil {
		return end, 0, fmt.Errorf("note a replica: %w", ErrCorrupt)
	}
	return position{epoch: answer[0], n: n, id: answer[2]}, now, nil
}

// batch bounds one read.
const batch = 1000

// after reads what follows an entry. It waits for that if there is nothing yet, or not, when
// block is negative.
func (l *changeLog) after(ctx context.Context, id string, block time.Duration) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, max(block, 0)+followTimeout)
	defer cancel()
	streams, err := l.client.XRead(ctx, &redis.XReadArgs{Streams: []string{changesLog, id}, Count: batch, Block: block}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	return streams[0].Messages, nil
}

// goesOn tells whether this is still the log that a place was in. A copy that was behind, and
// whose clock is, may have put other changes before that place: then what precedes is not
// what was applied last.
func (l *changeLog) goesOn(ctx context.Context, at position) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	entries, err := l.client.XRevRangeN(ctx, changesLog, at.id, "-", 1).Result()
	if err != nil {
		return false, fmt.Errorf("read changes: %w", err)
	}
	if len(entries) == 0 {
		return true, nil // it was trimmed: the numbers tell whether something is missing
	}
	found, _, ok := parseChange(entries[0])
	return found == at || (!ok && found.id == at.id), nil
}
