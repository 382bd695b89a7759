package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/cmd/stile/config"
)

// loadProgram compiles a configuration without listening or opening its store: what check
// and a local explain look at is the very engine that serve would run.
func loadProgram(path string, open func(url string, observe storeObserver) (books, error)) (*program, config.Problems) {
	c, problems := loadConfig(path)
	if problems.Err() != nil {
		return nil, problems
	}
	m := newMetrics()
	books, err := open(c.Store.Reveal(), m.observeStore)
	if err != nil {
		return nil, append(problems, c.Problem(c.At("store"), "%v", err))
	}
	prog, more := compile(c, parts{store: books, meter: newMeter(books, m), metrics: m, log: slog.New(slog.DiscardHandler)}, nil)
	return prog, append(problems, more...)
}

// dryStore is for those who look at a configuration alone. Its store's URL was checked.
func dryStore(string, storeObserver) (books, error) { return store.NewMemory(), nil }

type checkReport struct {
	File     string         `json:"file"`
	OK       bool           `json:"ok"`
	Routes   int            `json:"routes,omitempty"`
	Problems []checkProblem `json:"problems"`
}

type checkProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Level   string `json:"level"` // error or warning
	Message string `json:"message"`
}

func newCheck() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check -c stile.yaml", Short: "Load a configuration and report every problem", Args: takes(0, "no arguments; the configuration goes into -c"),
		Long: "Load a configuration as serve would and report every problem with its line.\nExit codes: 0 when serve would start with it (warnings allowed), 1 when not.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			prog, problems := loadProgram(path, dryStore)
			report := checkReport{File: path, OK: problems.Err() == nil, Problems: []checkProblem{}}
			if prog != nil {
				report.Routes = len(prog.config.Routes)
			}
			for _, p := range problems {
				level := "error"
				if p.Warning {
					level = "warning"
				}
				report.Problems = append(report.Problems, checkProblem{p.File, p.Line, level, p.Text})
			}
			if err := report.write(cmd.OutOrStdout(), asJSON, problems); err != nil {
				return err
			}
			if !report.OK {
				return &toldError{exitFailed}
			}
			return nil
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return cmd
}

func (r checkReport) write(w io.Writer, asJSON bool, problems config.Problems) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	if len(problems) > 0 {
		if _, err := fmt.Fprintln(w, problems.Error()); err != nil {
			return err
		}
	}
	if !r.OK {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s: ok, %d routes\n", r.File, r.Routes)
	return err
}
