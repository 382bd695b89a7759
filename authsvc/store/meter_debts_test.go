package store_test

import (
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// What processes allowed of a quota while Redis was away is taken of it when it is back.
func TestMeterPaysItsDebts(t *testing.T) {
	for name, outage := range map[string]func(*storetest.Redis) (end func()){
		"killed": func(r *storetest.Redis) func() { r.Kill(); return func() { r.Restart(t) } },
		"frozen": func(r *storetest.Redis) func() { r.Freeze(); return r.Thaw },
	} {
		t.Run(name, func(t *testing.T) {
			server := storetest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
			quota := storetest.Yearly("q", 100)
			quota.OnStoreError = policy.OnErrorLocal
			rate := storetest.Slow("r", 1000)
			rate.OnStoreError = policy.OnErrorAllow
			charges := []policy.Charge{storetest.Charge(quota), storetest.Charge(rate)}
			a, b := store.NewMeter(store.MeterOptions{Remote: openRedis(t, server)}), store.NewMeter(store.MeterOptions{Remote: openRedis(t, server)})
			run(t, a)
			run(t, b)
			for _, m := range []*store.Meter{a, b} {
				storetest.Spend(t, m, charges...)
			}
			end := outage(server)
			for _, m := range []*store.Meter{a, b} {
				// The first ones may reach a frozen server, and be counted when it goes on.
				storetest.Eventually(t, "the outage is known", func() bool {
					_, err := m.Peek(t.Context(), []policy.Charge{onError("n", 10, policy.OnErrorDeny)})
					return store.IsRefused(err)
				})
				for range 10 {
					if _, ok := storetest.Spend(t, m, charges...); !ok {
						t.Error("refused during an outage")
					}
				}
			}
			end()
			remote := openRedis(t, server)
			var left int64
			storetest.Eventually(t, "the debts are paid", func() bool {
				balances, err := remote.Peek(t.Context(), charges)
				if err != nil {
					return false
				}
				left = balances[0].Remaining // after the charge that is asked about
				return left <= 77
			})
			if left != 77 {
				t.Errorf("%d are left of 100 by one more, when 22 were spent", left)
			}
			if balances, _ := remote.Peek(t.Context(), charges[1:]); len(balances) != 1 || balances[0].Remaining != 997 {
				t.Errorf("of a rate nothing is owed: %+v", balances)
			}
		})
	}
}
