package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

const (
	killRounds  = 200
	killWriters = 8
)

// A life is all that is done under one id, one step after the other. Each is answered before
// the next begins, so of a process that is killed at most one step is not known.
const lifeSteps = 8

func lifeID(round, writer, n int) string { return fmt.Sprintf("r%03d-w%d-%03d", round, writer, n) }

// live does one step of a life.
func live(s storetest.LoadStore, id string, step int) error {
	ctx := context.Background()
	c, k := storetest.Consumer(id, "first"), storetest.Key(id, id)
	c.CustomID = "first " + id
	var err error
	switch step {
	case 0:
		_, err = s.CreateConsumer(ctx, c)
	case 1:
		err = s.CreateKey(ctx, k)
	case 2:
		_, err = s.AppendAudit(ctx, store.AuditRecord{Actor: "test", Action: "key.create", Object: id, Outcome: "done"})
	case 3:
		c.CustomID, c.Groups = "second "+id, []string{"second"}
		_, err = s.UpdateConsumer(ctx, c)
	case 4:
		err = s.Revoke(ctx, revocationOf(id))
	case 5:
		k.Name = "second"
		_, err = s.UpdateKey(ctx, k)
	case 6:
		err = s.RehashKey(ctx, id, storetest.Hash(id), pepper.HashKey(storetest.Secret(id)))
	default:
		switch id[len(id)-1] % 3 {
		case 0:
			err = s.DeleteConsumer(ctx, id)
		case 1:
			err = s.RevokeKey(ctx, id)
		default:
			err = s.MarkUsed(ctx, []store.Use{{Consumer: id, Key: id, At: storetest.Clock()}})
		}
	}
	if err != nil {
		return fmt.Errorf("step %d of %s: %w", step, id, err)
	}
	return nil
}

func revocationOf(id string) store.Revocation {
	return store.Revocation{Issuer: storetest.Token("", "", "").Issuer, JTI: id, Until: storetest.Clock().Add(time.Hour)}
}

// facts are all that a life leaves.
type facts struct {
	Consumer *store.Consumer
	Key      *store.Key
	Found    [2]*store.Credential // by the first hash, and by the second
	Revoked  bool
	Audited  bool
}

func factsOf(s storetest.LoadStore, id string, audited map[string]bool) (f facts, err error) {
	ctx := context.Background()
	var errs [5]error
	f.Consumer, errs[0] = s.Consumer(ctx, id)
	f.Key, errs[1] = s.Key(ctx, id)
	f.Found[0], errs[2] = s.Credential(ctx, storetest.Hash(id))
	f.Found[1], errs[3] = s.Credential(ctx, pepper.HashKey(storetest.Secret(id)))
	f.Revoked, errs[4] = s.Revoked(ctx, storetest.Token(id, "", ""))
	f.Audited = audited[id]
	return f, errors.Join(errs[:]...)
}

// expected is what a life leaves after some of its steps: what it leaves in memory.
func expected(t *testing.T, id string, steps int) facts {
	t.Helper()
	m := store.NewMemory()
	m.Now = storetest.Clock
	for step := range steps {
		check(t, live(m, id, step))
	}
	f, err := factsOf(m, id, map[string]bool{id: steps > 2})
	check(t, err)
	return f
}

// writeLives is what is killed: it says what was answered.
func writeLives(path, round string) error {
	number, err := strconv.Atoi(round)
	if err != nil {
		return err
	}
	f, err := store.OpenFile(path)
	if err != nil {
		return err
	}
	f.Now = storetest.Clock
	var writers sync.WaitGroup
	for writer := range killWriters {
		writers.Go(func() {
			for n := 0; ; n++ {
				for step := range lifeSteps {
					if err := live(f, lifeID(number, writer, n), step); err != nil {
						fmt.Println("failed:", err)
						return
					}
					fmt.Println(writer) // at once, and so that it is not lost
				}
			}
		})
	}
	writers.Wait()
	return nil
}

// killRig is a file that is carried through many deaths.
type killRig struct {
	t       *testing.T
	path    string
	audited map[string]bool
	head    int64            // up to which the audit was read
	lived   map[string]facts // as they were found after the death in their time
}

// What was answered is there when the process that wrote it is killed, and of what was not
// it is all there or nothing.
func TestFileKilled(t *testing.T) {
	rounds := killRounds
	if testing.Short() {
		rounds = 10
	}
	rig := &killRig{t: t, path: filepath.Join(t.TempDir(), "stile.db"), audited: map[string]bool{}, lived: map[string]facts{}}
	random := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	for round := range rounds {
		rig.judge(round, rig.round(round, random))
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	f := openFileAt(t, rig.path)
	rig.readAudit(f)
	for id, want := range rig.lived {
		rig.want(f, id, want)
	}
	t.Logf("%d lives, %d entries of the audit", len(rig.lived), rig.head)
	if len(rig.lived) < rounds {
		t.Errorf("only %d lives in %d rounds", len(rig.lived), rounds)
	}
}

// round lets a process write and kills it, and answers how many steps each writer was told of.
// One in five dies about when it opens the file, the others while they write.
func (r *killRig) round(number int, random *rand.Rand) (answered [killWriters]int) {
	c := startChild(r.t, "write", strconv.Itoa(number), r.path)
	soon := time.AfterFunc(time.Minute, c.shoot)
	defer soon.Stop()
	if number%5 == 0 {
		soon.Reset(time.Duration(random.IntN(60)) * time.Millisecond)
	}
	for line := c.line(); line != ""; line = c.line() { // up to what it said last
		writer, err := strconv.Atoi(line)
		if err != nil {
			r.t.Error(line)
			break
		}
		if answered == ([killWriters]int{}) && number%5 != 0 {
			soon.Reset(time.Duration(random.IntN(60_000)) * time.Microsecond)
		}
		answered[writer]++
	}
	c.kill()
	return answered
}

// judge holds what is there against what was answered.
func (r *killRig) judge(round int, answered [killWriters]int) {
	f, err := store.OpenFile(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	f.Now = storetest.Clock
	defer func() { check(r.t, f.Close()) }()
	r.readAudit(f)
	for writer, steps := range answered {
		for n := 0; n <= steps/lifeSteps+1; n++ {
			id, done := lifeID(round, writer, n), min(max(0, steps-n*lifeSteps), lifeSteps)
			found, err := factsOf(f, id, r.audited)
			check(r.t, err)
			next := done
			if n == steps/lifeSteps { // whose next step was under way
				next++
			}
			if !cmp.Equal(found, expected(r.t, id, done), sameFacts) && !cmp.Equal(found, expected(r.t, id, next), sameFacts) {
				r.t.Errorf("%s after %d steps (-want +got):\n%s", id, done, cmp.Diff(expected(r.t, id, done), found, sameFacts))
			}
			r.lived[id] = found
		}
	}
	if round%20 == 0 {
		check(r.t, errors.Join(f.Check(), f.CheckPages()))
	}
}

var sameFacts = cmpopts.EquateComparable(netip.Prefix{})

func (r *killRig) want(f *store.File, id string, want facts) {
	r.t.Helper()
	found, err := factsOf(f, id, r.audited)
	check(r.t, err)
	if diff := cmp.Diff(want, found, sameFacts); diff != "" {
		r.t.Errorf("%s, later (-want +got):\n%s", id, diff)
	}
}

// readAudit reads what was added since it last did. Check tells whether it is one chain.
func (r *killRig) readAudit(f *store.File) {
	entries, err := f.AuditEntries(r.t.Context(), r.head, 1<<20)
	check(r.t, err)
	for _, e := range entries {
		r.audited[e.Object], r.head = true, e.Seq
	}
}
