package edge

import "testing"

// TestLanes sends the same requests down every lane. What a test of it changes would be
// there for the next, so what stops a server stands in outage_test.go.
func TestLanes(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			s := newStand(t, l)
			for _, part := range []struct {
				name string
				test func(*testing.T, *stand)
			}{
				{"answers", answers},
				{"let in", letIn},
				{"hosts", hosts},
				{"methods", methods},
				{"forged identity", forgedIdentity},
				{"forged request", forgedRequest},
				{"connection lists", connectionLists},
				{"paths to what is forbidden", pathsToWhatIsForbidden},
				{"malformed paths", malformedPaths},
				{"paths that pass", pathsThatPass},
				{"bodies", bodies},
				{"websocket", websocket},
				{"other upgrades", otherUpgrades},
				{"events", events},
				{"keep-alive", keepAlive},
			} {
				t.Run(part.name, func(t *testing.T) { part.test(t, s) })
			}
		})
	}
}
