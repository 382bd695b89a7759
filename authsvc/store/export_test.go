package store

import "github.com/redis/go-redis/v9"

// Client is for the tests that look behind the store.
func (r *Redis) Client() *redis.Client { return r.client }

// Sizes is how many credentials are remembered as found, and as unknown.
func (c *Cache) Sizes() (known, unknown int) {
	c.credentials.known.CleanUp()
	c.credentials.unknown.CleanUp()
	return c.credentials.known.EstimatedSize(), c.credentials.unknown.EstimatedSize()
}
