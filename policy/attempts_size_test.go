package policy

// Size is how many addresses are remembered.
func (a *Attempts) Size() (n int) {
	for i := range a.shards {
		a.shards[i].mu.RLock()
		n += len(a.shards[i].fullAt)
		a.shards[i].mu.RUnlock()
	}
	return n
}
