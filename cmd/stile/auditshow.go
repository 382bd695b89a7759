package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc/store"
)

// followEvery is how often tail -f looks for more.
const followEvery = time.Second

func auditTail() *cobra.Command {
	var follow bool
	var lines int64
	cmd := &cobra.Command{
		Use: "tail", Short: "Show the last entries", Args: takes(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lines < 1 {
				return &misuseError{errors.New("-n takes a number from 1")}
			}
			r, err := newAuditReader(cmd, 0)
			if err != nil {
				return err
			}
			page, err := r.page(1) // for the head
			if err != nil {
				return err
			}
			r.after = max(0, page.Head.Seq-lines)
			return r.tail(follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until Ctrl-C")
	cmd.Flags().Int64VarP(&lines, "lines", "n", 20, "how many entries to begin with")
	return cmd
}

// tail prints what follows, and looks again when it is to.
func (r *auditReader) tail(follow bool) error {
	p, err := newPrinter(r.cmd)
	if err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		var found []store.AuditEntry
		_, err := r.rest(func(e store.AuditEntry) error {
			found = append(found, e)
			return nil
		})
		if err == nil && (first || len(found) > 0) {
			err = p.printAudit(found, first)
		}
		if r.cmd.Context().Err() != nil {
			return nil // Ctrl-C
		}
		if err != nil || !follow {
			return err
		}
		select {
		case <-r.cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// printAudit writes a line of JSON for each entry, or rows of a table. Columns have a least
// width, so that those of one page stand below those of the page before.
func (p printer) printAudit(entries []store.AuditEntry, head bool) error {
	row := func(cells ...string) error {
		for i, cell := range cells {
			cells[i] = plainText(cell)
		}
		_, err := fmt.Fprintf(p.w, "%-6s %-27s %-40s %-16s %-8s %-24s %s\n", cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6])
		return err
	}
	if head && !p.json {
		if err := row("SEQ", "TIME", "ACTOR", "ACTION", "OUTCOME", "OBJECT", "DETAIL"); err != nil {
			return err
		}
	}
	for _, e := range entries {
		var err error
		if p.json {
			err = json.NewEncoder(p.w).Encode(e)
		} else {
			err = row(strconv.FormatInt(e.Seq, 10), e.Time, e.Actor, e.Action, e.Outcome, e.Object, e.Detail)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func auditExport() *cobra.Command {
	var from int64
	cmd := &cobra.Command{
		Use: "export", Short: "Write the audit as JSON, an entry a line", Args: takes(0, "no arguments"),
		Example: `  stile audit export > audit.jsonl
  stile audit export --from 1042 >> audit.jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from < 1 {
				return &misuseError{errors.New("--from takes the seq of an entry, from 1")}
			}
			r, err := newAuditReader(cmd, from-1)
			if err != nil {
				return err
			}
			out := json.NewEncoder(cmd.OutOrStdout())
			_, err = r.rest(func(e store.AuditEntry) error { return out.Encode(e) })
			return err
		},
	}
	cmd.Flags().Int64Var(&from, "from", 1, "seq of the first entry")
	return cmd
}
