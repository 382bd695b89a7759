package store_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Store {
		m := store.NewMemory()
		m.Now = storetest.Clock
		return m
	})
}
