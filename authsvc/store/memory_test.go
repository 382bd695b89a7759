package store_test

import (
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Store {
		m := store.NewMemory()
		m.Now = storetest.Clock
		return m
	})
}
