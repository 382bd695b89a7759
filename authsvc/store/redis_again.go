package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// together is how long a command waits for its keys to come together again.
const together = 2 * time.Second

// again sends a command again that a node of a cluster has refused since its keys are on
// their way to another node, and some of them there already. It has done nothing then, so
// this is for those too that are not to be repeated.
type again struct{}

func (again) DialHook(next redis.DialHook) redis.DialHook { return next }

func (again) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		for pause := minRetryPause; isApart(err) && wait(ctx, pause); pause *= 2 {
			cmd.SetErr(nil)
			err = next(ctx, cmd)
		}
		return err
	}
}

func (again) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for pause := minRetryPause; ; pause *= 2 {
			var apart []redis.Cmder
			for _, cmd := range cmds {
				if isApart(cmd.Err()) {
					apart = append(apart, cmd)
				}
			}
			if len(apart) == 0 || !wait(ctx, pause) {
				break
			}
			for _, cmd := range apart {
				cmd.SetErr(nil)
			}
			_ = next(ctx, apart)
			err = firstError(cmds)
		}
		return err
	}
}

// isApart tells whether a command was refused by the last node that the client was sent to.
func isApart(err error) bool {
	return redis.HasErrorPrefix(err, "TRYAGAIN") || redis.HasErrorPrefix(err, "ASK ") || redis.HasErrorPrefix(err, "MOVED ")
}

// wait answers false when it is of no use any more.
func wait(ctx context.Context, pause time.Duration) bool {
	if pause > together/2 {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}
