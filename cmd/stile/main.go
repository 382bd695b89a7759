// Command stile is the consumer layer for proxies that stay stateless.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/policy"
)

// Exit codes, as `stile help` documents them.
const (
	exitFailed  = 1 // the verb could not do its work; for check: the configuration has errors; for explain: refused; for doctor: something fails
	exitMisused = 2 // wrong arguments
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return
	}
	var told *toldError
	if !errors.As(err, &told) {
		fmt.Fprintln(os.Stderr, "stile:", withoutKeys(err))
	}
	stop()
	os.Exit(exitCode(err)) //nolint:gocritic // stop has run
}

// withoutKeys is an error's text for a terminal or a log of builds: people put keys where ids
// belong. A server masks those of its own prefix; here no other than the default is known.
func withoutKeys(err error) string { return policy.KeyFormat{}.MaskPath(err.Error()) }

func newRoot() *cobra.Command {
	root := group("stile", "The consumer layer for proxies that stay stateless",
		newServe(), newDemo(), newCheck(), newExplain(), newConsumer(), newKey(), newToken(), newAudit(), newDoctor(), newImport(), newStoreVerbs(), newHealth(), newVersion())
	root.Long = `Stile answers Traefik (forwardAuth), nginx (auth_request) and Caddy (forward_auth) about
each request, from API keys and JWTs, with consumers and keys in Redis or in memory.

Exit codes: 0 done; 1 failed (check: errors found; explain: refused; doctor: something fails);
2 wrong arguments.`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &misuseError{fmt.Errorf("%w\nSee `%s --help`", err, cmd.CommandPath())}
	})
	return root
}

// toldError ends the program with a code, its text being printed already.
type toldError struct{ code int }

func (e *toldError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// misuseError is a wrong argument.
type misuseError struct{ error }

func (e *misuseError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var told *toldError
	var misuse *misuseError
	switch {
	case errors.As(err, &told):
		return told.code
	case errors.As(err, &misuse):
		return exitMisused
	}
	return exitFailed
}

// takes wraps a check of positional arguments so that a wrong count says what was meant.
func takes(n int, form string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &misuseError{fmt.Errorf("%s takes %s\nSee `%s --help`", cmd.CommandPath(), form, cmd.CommandPath())}
	}
}

// group is a verb that only has verbs below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args:                       cobra.ArbitraryArgs, // so that a misspelt verb comes to RunE
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			text := fmt.Sprintf("%s has no verb %q", cmd.CommandPath(), args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += fmt.Sprintf("; did you mean %q?", near[0])
			}
			return &misuseError{errors.New(text)}
		},
	}
	cmd.AddCommand(below...)
	return cmd
}
