package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc/store"
)

func newStoreVerbs() *cobra.Command {
	return group("store", "What stile keeps, as a whole", storeCopy())
}

// Where the URLs may come from: they hold passwords, and everybody on a machine sees flags.
const (
	fromVariable = "STILE_STORE_FROM"
	toVariable   = "STILE_STORE_TO"
)

func storeCopy() *cobra.Command {
	var from, to string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "copy --from URL --to URL", Short: "Copy all of a store to another, and compare both",
		Args: takes(0, "no arguments; the stores go into --from and --to"),
		Long: `Copies consumers, keys with their last uses, revocations, counters and the audit, all as they
stand, and then reads both stores again and compares them. The keys that people have stay good.

The URLs are those of store in a configuration: file:PATH, redis://, redis+sentinel:// or
redis+cluster://, and rediss for TLS. They may also come from the environment, as ` + fromVariable + `
and ` + toVariable + `: a URL may hold a password, and everybody on this machine can see flags.

Stop stile on a file first: the file is locked while stile has it. Of a Redis in use, stop
calls of the admin API for as long; limits go on being counted there meanwhile, and a copy that
is run again brings what was counted since.

Nothing that is there is overwritten. What is there just so is left as it is, so a copy that
broke off can be run again. What is there otherwise is refused and told. Once stile runs on the
destination, do not copy to it again: what was revoked or deleted there since would come back.

Exit codes: 0 when all is there and alike, 1 when not.`,
		Example: `  stile store copy --from file:/var/lib/stile/stile.db --to redis://127.0.0.1:6379/0
  ` + toVariable + `="$(cat /run/secrets/redis-url)" stile store copy --from file:/var/lib/stile/stile.db`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return copyStore(cmd, urlOf(from, fromVariable), urlOf(to, toVariable), asJSON)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "URL of the store to read (env "+fromVariable+")")
	cmd.Flags().StringVar(&to, "to", "", "URL of the store to write (env "+toVariable+")")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	fill(cmd, "from", "to")
	return cmd
}

func urlOf(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(variable)
}

// wholeStore is a store as far as a copy goes.
type wholeStore interface {
	store.Dumper
	store.Loader
	Ping(context.Context) error
	Close() error
}

func copyStore(cmd *cobra.Command, from, to string, asJSON bool) error {
	if err := errors.Join(checkStoreURL("--from", fromVariable, from), checkStoreURL("--to", toVariable, to)); err != nil {
		return &misuseError{err}
	}
	if err := checkFiles(from, to); err != nil {
		return err
	}
	source, err := openWhole(cmd.Context(), from)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer func() { _ = source.Close() }() // nothing was written to it
	destination, err := openWhole(cmd.Context(), to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if one, ok := source.(*store.Redis); ok {
		if other, ok := destination.(*store.Redis); ok && one.IsSame(cmd.Context(), other) {
			return errors.Join(errSameStore, destination.Close())
		}
	}
	report, broken := runCopy(cmd, source, destination)
	return reportCopy(cmd, report, errors.Join(broken, destination.Close()), asJSON)
}

var errSameStore = &misuseError{errors.New("--from and --to are the same store")}

// checkStoreURL never shows the URL: it may hold a password.
func checkStoreURL(flag, variable, url string) error {
	switch url {
	case "":
		return fmt.Errorf("%s is missing: give the URL of a store, or set %s", flag, variable)
	case "memory:":
		return fmt.Errorf("%s: what is in memory ends with its process; there is nothing to copy", flag)
	}
	if err := store.CheckURL(url); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// checkFiles wants a source that is there: to open one that is not would make it.
func checkFiles(from, to string) error {
	path, ok := store.FileOf(from)
	if !ok {
		return nil
	}
	source, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if source.Mode().IsRegular() && source.Size() == 0 {
		return fmt.Errorf("--from: %s is empty: it is no store", path)
	}
	if path, ok = store.FileOf(to); ok {
		if destination, err := os.Stat(path); err == nil && os.SameFile(source, destination) {
			return errSameStore
		}
	}
	return nil
}

// openWhole opens a store that answers.
func openWhole(ctx context.Context, url string) (wholeStore, error) {
	opened, err := openStore(unhurried(url), nil)
	if err != nil {
		return nil, err
	}
	whole, ok := opened.(wholeStore)
	if !ok {
		return nil, errors.Join(errors.New("this kind of store cannot be copied"), opened.Close())
	}
	if err := whole.Ping(ctx); err != nil {
		return nil, errors.Join(err, whole.Close())
	}
	return whole, nil
}

// unhurried gives a server more time than a request would, where the URL does not say how
// long: a copy can wait.
func unhurried(url string) string {
	if !strings.HasPrefix(url, "redis") {
		return url
	}
	_, query, _ := strings.Cut(url, "?")
	for _, option := range []string{"dial_timeout", "read_timeout", "write_timeout", "pool_timeout"} {
		if strings.Contains("&"+query, "&"+option+"=") {
			continue
		}
		separator := "&"
		if !strings.Contains(url, "?") {
			separator = "?"
		}
		url += separator + option + "=10s"
	}
	return url
}
