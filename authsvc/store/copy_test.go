package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// dumped is all that a store tells, as texts in their order.
func dumped(t *testing.T, s store.Dumper) (texts []string) {
	t.Helper()
	err := s.Dump(t.Context(), func(r store.Record) error {
		hash := ""
		if r.Key != nil {
			hash = r.Key.Hash
		}
		text, err := json.Marshal(r)
		texts = append(texts, string(text)+hash)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(texts)
	return texts
}

func wantSame(t *testing.T, from, to store.Dumper) {
	t.Helper()
	source, destination := dumped(t, from), dumped(t, to)
	if slices.Equal(source, destination) {
		return
	}
	if diff := cmp.Diff(source, destination); diff != "" {
		t.Errorf("the destination differs (-source +destination):\n%s", diff)
	}
}

func noProgress(store.Progress) {}

// mustCopy wants a copy that comes to its end.
func mustCopy(t *testing.T, from store.Dumper, to target) store.Report {
	t.Helper()
	report, err := store.Copy(t.Context(), from, to, noProgress)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// target is where a copy goes.
type target interface {
	store.Dumper
	store.Loader
}

// filledFile has so much of everything.
func filledFile(t *testing.T, n int) *store.File {
	t.Helper()
	f := openFile(t)
	problems, err := f.Load(t.Context(), storetest.Records(n))
	if err := errors.Join(append(problems, err)...); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCopy(t *testing.T) {
	const n = 2100 // more than is read at once
	from := filledFile(t, n)
	r, to := openUnhurried(t), openFile(t)
	steps := map[store.Step]int64{}
	report, err := store.Copy(t.Context(), from, r, func(p store.Progress) { steps[p.Step] = max(steps[p.Step], p.Records) })
	if err != nil {
		t.Fatal(err)
	}
	row := func(kind string) store.KindReport {
		return store.KindReport{Kind: kind, Copied: n, Source: n, Destination: n}
	}
	want := store.Report{Kinds: []store.KindReport{
		row("consumers"), row("keys"), row("revocations"), row("counters"), row("audit"),
	}, Verified: true}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[store.Step]int64{store.StepLook: 0, store.StepCopy: 10_000, store.StepVerify: 21_000}, steps); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	mustCopy(t, r, to)
	wantSame(t, from, to)
	wantSame(t, from, r)
	wantAnnounced := func() {
		t.Helper()
		if log, err := r.Client().XRange(t.Context(), changesLog, "-", "+").Result(); err != nil || len(log) != 1 || log[0].Values["kind"] != "all" {
			t.Errorf("announced: %v, %v", log, err)
		}
	}
	wantAnnounced()

	for i := range want.Kinds {
		want.Kinds[i].Copied, want.Kinds[i].There = 0, n
	}
	if diff := cmp.Diff(want, mustCopy(t, from, r)); diff != "" {
		t.Errorf("report of a second one (-want +got):\n%s", diff)
	}
	wantAnnounced()
}

// breaking is a destination during whose n-th write the copy is broken off.
type breaking struct {
	target
	n    int
	stop context.CancelFunc
}

func (b *breaking) Load(ctx context.Context, records []store.Record) ([]error, error) {
	if b.n--; b.n == 0 {
		go b.stop()
	}
	return b.target.Load(ctx, records)
}

func TestCopyBrokenOff(t *testing.T) {
	from := filledFile(t, 600)
	for name, open := range map[string]func() target{
		"file":  func() target { return openFile(t) },
		"redis": func() target { return openUnhurried(t) },
	} {
		t.Run(name, func(t *testing.T) {
			to := open()
			broken := 0
			for done := false; !done; {
				ctx, stop := context.WithCancel(t.Context())
				report, err := store.Copy(ctx, from, &breaking{to, broken + 1, stop}, noProgress)
				stop()
				if done = err == nil; !done {
					broken++
					if !errors.Is(err, context.Canceled) || report.Verified || report.Refused() > 0 {
						t.Fatalf("%+v, %v", report, err)
					}
				}
			}
			if broken == 0 {
				t.Error("it was not broken off")
			}
			if report := mustCopy(t, from, to); !report.Verified {
				t.Errorf("%+v", report)
			}
			wantSame(t, from, to)
			if r, ok := to.(*store.Redis); ok {
				r.Client().Del(t.Context(), "stile:{sys}:audit", "stile:{sys}:audit:head", // of which audit knows nothing
					"stile:{sys}:changes", "stile:{sys}:change-seq", "stile:{sys}:epoch")
				if problem := audit(t, r); problem != "" {
					t.Error(problem)
				}
			}
		})
	}
}

// afterwards is a destination that somebody changes when all was written.
type afterwards struct {
	target
	looked bool
	change func()
}

func (a *afterwards) Dump(ctx context.Context, tell func(store.Record) error) error {
	if a.looked && a.change != nil {
		a.change()
		a.change = nil
	}
	a.looked = true
	return a.target.Dump(ctx, tell)
}

func TestCopyIsVerified(t *testing.T) {
	from := filledFile(t, 50)
	for name, tt := range map[string]struct {
		change func(context.Context, *store.Memory) error
		want   string
	}{
		"changed": {func(ctx context.Context, m *store.Memory) error {
			_, err := m.UpdateConsumer(ctx, storetest.Consumer("c007"))
			return err
		}, `consumer "c007" is another in the destination`},
		"gone": {func(ctx context.Context, m *store.Memory) error {
			return m.RevokeKey(ctx, "k008")
		}, `key "k008" is not in the destination`},
		"more": {func(ctx context.Context, m *store.Memory) error {
			return m.CreateKey(ctx, storetest.Key("more", "c001"))
		}, `key "more" is in the destination alone`},
		"used": {func(ctx context.Context, m *store.Memory) error {
			return m.MarkUsed(ctx, []store.Use{{Consumer: "c001", Key: "k001", At: storetest.Clock()}})
		}, `last use of key "k001" is in the destination alone`},
		"counted": {func(ctx context.Context, m *store.Memory) error {
			_, err := m.Spend(ctx, []policy.Charge{storetest.Charge(storetest.Yearly("yearly", 9))})
			return err
		}, `counter "stile:{c:acme}:quota:yearly:1767225600" is in the destination alone`},
		"revoked": {func(ctx context.Context, m *store.Memory) error {
			rev := store.Revocation{Issuer: "i", JTI: "j", Until: time.Now().Add(time.Hour)}
			return m.Revoke(ctx, rev)
		}, `revocation "jti:`},
		"noted": {func(ctx context.Context, m *store.Memory) error {
			_, err := m.AppendAudit(ctx, store.AuditRecord{Actor: "somebody"})
			return err
		}, `audit entry 51 is in the destination alone`},
	} {
		t.Run(name, func(t *testing.T) {
			m := store.NewMemory()
			m.Now = storetest.Clock
			report := mustCopy(t, from, &afterwards{m, false, func() {
				if err := tt.change(t.Context(), m); err != nil {
					t.Error(err)
				}
			}})
			text := fmt.Sprintf("%+v", report)
			if report.Verified || !strings.Contains(text, tt.want) || strings.Count(text, "the destination") != 1 {
				t.Error(text)
			}
		})
	}
}

// Requests go on being counted in the source while it is copied.
func TestCopyOfAStoreInUse(t *testing.T) {
	from := store.NewMemory()
	from.Now = storetest.Clock
	if _, err := from.Load(t.Context(), storetest.Records(20)); err != nil {
		t.Fatal(err)
	}
	charge := storetest.Charge(storetest.Yearly("yearly", 9))
	spend := func() { storetest.Spend(t, from, charge) }
	spend()
	to := openRedis(t, storetest.StartRedis(t))
	report := mustCopy(t, from, &afterwards{to, false, func() {
		spend()
		if err := from.MarkUsed(t.Context(), []store.Use{{Consumer: "c001", Key: "k001", At: storetest.Clock()}}); err != nil {
			t.Error(err)
		}
	}})
	if !report.Verified || report.Kinds[3].Copied != 21 {
		t.Errorf("%+v", report)
	}
	report = mustCopy(t, from, to) // which brings what was counted since
	if !report.Verified || report.Kinds[3].Copied != 1 || report.Kinds[3].There != 20 {
		t.Errorf("%+v", report)
	}
	wantSame(t, from, to)
}

// What the destination has already stays as it is.
func TestCopyOntoOthers(t *testing.T) {
	from := filledFile(t, 40)
	to := openRedis(t, storetest.StartRedis(t))
	for _, c := range []store.Consumer{storetest.Consumer("c001", "others"), storetest.Consumer("own")} {
		if _, err := to.CreateConsumer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	stranger := storetest.Key("k002", "own")
	stranger.ID = "stranger" // with the hash of another
	if err := to.CreateKey(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	report := mustCopy(t, from, to)
	consumers, keys := report.Kinds[0], report.Kinds[1]
	if report.Verified || consumers.Copied != 39 || consumers.Refused != 1 || keys.Copied != 38 || keys.Refused != 2 || report.Refused() != 3 {
		t.Errorf("%+v", report)
	}
	text := strings.Join(append(consumers.Refusals, keys.Refusals...), "\n")
	for _, want := range []string{
		`consumer "c001": already exists`, `key "k001": consumer "c001" was refused`,
		`the hash of key "k002": already exists`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %s", text, want)
		}
	}
	text = strings.Join(append(consumers.Differences, keys.Differences...), "\n")
	for _, want := range []string{
		`consumer "c001" is another in the destination`, `consumer "own" is in the destination alone`,
		`key "k001" is not in the destination`, `key "stranger" is in the destination alone`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %s", text, want)
		}
	}
	if found, err := to.Credential(t.Context(), storetest.Hash("k001")); found != nil || err != nil {
		t.Errorf("a key came to another consumer of that name: %+v, %v", found, err)
	}
}

// A destination that is away for a moment, or where another is at work, is waited for.
func TestCopyWaits(t *testing.T) {
	from := filledFile(t, 30)
	server := storetest.StartRedis(t)
	to, s := openRedis(t, server), newStepper(t, server)
	if problems, err := to.Load(t.Context(), storetest.Records(30)[:30]); errors.Join(append(problems, err)...) != nil {
		t.Fatal(problems, err)
	}
	s.begin(t.Context(), createKey("k005", "c005", "k005"))
	s.steps(2) // its hash is reserved, the script being unknown at first
	waiting := &waitedFor{target: to, away: 2, end: s.finish}
	report := mustCopy(t, from, waiting)
	if keys := report.Kinds[1]; keys.Copied+keys.There != 29 || keys.Refused != 1 || waiting.away != 0 {
		t.Errorf("%+v", report) // it was made with another version
	}
}

type waitedFor struct {
	target
	away int
	end  func()
}

func (w *waitedFor) Load(ctx context.Context, records []store.Record) ([]error, error) {
	if w.away > 0 {
		w.away--
		return nil, errors.New("nobody is there")
	}
	problems, err := w.target.Load(ctx, records)
	if slices.ContainsFunc(problems, func(err error) bool { return errors.Is(err, store.ErrConflict) }) && w.end != nil {
		w.end()
		w.end = nil
	}
	return problems, err
}

func TestCopyEndsWithItsStores(t *testing.T) {
	from := filledFile(t, 3)
	to := openFileAt(t, filepath.Join(t.TempDir(), "to.db"))
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Copy(t.Context(), from, to, noProgress); err == nil || !strings.Contains(err.Error(), "read the destination") {
		t.Error(err)
	}
	if _, err := store.Copy(t.Context(), to, from, noProgress); err == nil || !strings.Contains(err.Error(), "read the source") {
		t.Error(err)
	}
}
