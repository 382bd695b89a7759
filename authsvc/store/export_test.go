package store

import "github.com/redis/go-redis/v9"

// Client is for the tests that look behind the store.
func (r *Redis) Client() *redis.Client { return r.client }
