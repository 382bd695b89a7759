package store

import (
	"context"
	"time"
)

// Memory is a store that ends with the process: for demonstrations and tests.
type Memory struct {
	// Now is the clock; set it before the first use.
	Now func() time.Time

	embedded
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	m := &Memory{Now: time.Now}
	m.values = newMemoryValues()
	m.clock = func() time.Time { return m.Now() }
	m.heard = func(string, time.Duration, error) {}
	m.keep = func() error { return nil }
	return m
}

// Ping always succeeds.
func (m *Memory) Ping(context.Context) error { return nil }

// Close does nothing.
func (m *Memory) Close() error { return nil }
