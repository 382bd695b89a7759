package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc/store"
)

// copySteps say what a copy does, in a line before each step.
func copySteps() map[store.Step]string {
	return map[store.Step]string{
		store.StepLook:   "Reading what the destination has",
		store.StepCopy:   "Copying",
		store.StepVerify: "Comparing both",
	}
}

// runCopy copies, and says on standard error how far it is.
func runCopy(cmd *cobra.Command, source, destination wholeStore) (store.Report, error) {
	var now atomic.Pointer[store.Progress]
	bar := newStatus(cmd.ErrOrStderr(), func() string {
		if p := now.Load(); p != nil {
			return fmt.Sprintf("%s: %d records", copySteps()[p.Step], p.Records)
		}
		return ""
	})
	defer bar.end()
	return store.Copy(cmd.Context(), source, destination, func(p store.Progress) {
		if before := now.Swap(&p); before == nil || before.Step != p.Step {
			bar.printf("%s …", copySteps()[p.Step])
		}
	})
}

// reportCopy prints what came of a copy, and what broke it off.
func reportCopy(cmd *cobra.Command, report store.Report, broken error, asJSON bool) error {
	for _, k := range report.Kinds {
		for _, texts := range [][]string{k.Refusals, k.Differences} {
			for i, text := range texts { // people put keys where ids belong
				texts[i] = plainText(withoutKeys(errors.New(text)))
			}
		}
	}
	if err := printCopy(cmd, report, broken == nil, asJSON); err != nil {
		return err
	}
	switch {
	case broken != nil:
		return fmt.Errorf("%w\nIt broke off; run it again to go on", broken)
	case report.Refused() > 0 || !report.Verified:
		return &toldError{exitFailed}
	}
	return nil
}

func printCopy(cmd *cobra.Command, report store.Report, whole, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
	}
	var rows [][]string
	for _, k := range report.Kinds {
		row := []string{k.Kind, count(k.Copied), count(k.There), count(k.Refused), "", "", ""}
		if whole {
			row[4], row[5], row[6] = count(k.Source), count(k.Destination), "alike"
		}
		if k.Differs {
			row[6] = "DIFFERENT"
		}
		rows = append(rows, row)
		tell(cmd, k.Refusals, k.Refused, "refused")
		tell(cmd, k.Differences, int64(len(k.Differences)), "different")
	}
	head := []string{"KIND", "COPIED", "ALREADY THERE", "REFUSED", "SOURCE", "DESTINATION", "VERIFIED"}
	return printer{w: cmd.OutOrStdout()}.print(nil, head, rows...)
}

// tell lists some of what is wrong.
func tell(cmd *cobra.Command, some []string, of int64, how string) {
	for _, text := range some {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", how, text)
	}
	if more := of - int64(len(some)); more > 0 {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s: and %d more\n", how, more)
	}
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
