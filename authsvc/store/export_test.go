package store

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// Client is for the tests that look behind the store.
func (r *Redis) Client() redis.UniversalClient { return r.client }

// IsRefused tells whether a guard refused a command.
func IsRefused(err error) bool { return errors.Is(err, errRefused) }

// Sizes is how many credentials are remembered as found, and as unknown.
func (c *Cache) Sizes() (known, unknown int) {
	c.credentials.known.CleanUp()
	c.credentials.unknown.CleanUp()
	return c.credentials.known.EstimatedSize(), c.credentials.unknown.EstimatedSize()
}
