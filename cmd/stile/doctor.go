package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc/store"
)

func newDoctor() *cobra.Command {
	return group("doctor", "Look at what Stile rests on, and say what to change", newDoctorStore())
}

func newDoctorStore() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "store -c stile.yaml", Short: "Look at the store of a configuration", Args: takes(0, "no arguments; the configuration goes into -c"),
		Long: `Look at the store of a configuration: whether it can be reached, keeps what it is given, has
room, and lets Stile do what it needs. Each check is a line: ok, warn or fail, what was found,
and behind -> what to change. It takes no more than ten seconds, writes only keys and files of
its own, which it removes again, and may be run while stile runs.

What the user of the configuration may not see, another may:
  STILE_STORE=redis://admin:PASSWORD@redis.example.com stile doctor store -c stile.yaml

Exit codes: 0 when nothing fails (warnings allowed), 1 when something does.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, problems := loadConfig(path)
			if err := problems.Err(); err != nil {
				return err
			}
			redis.SetLogger(quietRedis{})
			found, err := store.Inspect(cmd.Context(), c.Store.Reveal(), time.Now)
			if err != nil {
				return c.Problem(c.At("store"), "%v", err)
			}
			if err := printInspection(cmd.OutOrStdout(), found, asJSON); err != nil {
				return err
			}
			if found.Count(store.LevelFail) > 0 {
				return &toldError{exitFailed}
			}
			return nil
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return cmd
}

// printInspection writes a line for each check, and how many are good at its end.
func printInspection(w io.Writer, i store.Inspection, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(i)
	}
	nodes := false // whether any finding is of one of several
	for _, f := range i.Checks {
		nodes = nodes || f.Node != ""
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, f := range i.Checks {
		cells := []string{string(f.Level), f.Name, f.Found}
		if nodes {
			cells = []string{string(f.Level), f.Node, f.Name, f.Found}
		}
		if f.Change != "" {
			cells[len(cells)-1] += " -> " + f.Change
		}
		for n, cell := range cells {
			cells[n] = plainText(cell)
		}
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d ok, %d warn, %d fail: %s\n", i.Count(store.LevelOK), i.Count(store.LevelWarn), i.Count(store.LevelFail), i.Store)
	return err
}
