package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// printer writes a result as the table or the JSON that -o asked for.
type printer struct {
	w    io.Writer
	json bool
}

func newPrinter(cmd *cobra.Command) (printer, error) {
	form, err := cmd.Flags().GetString("output")
	if err != nil {
		return printer{}, err
	}
	if form != "table" && form != "json" {
		return printer{}, &misuseError{fmt.Errorf("-o %q is neither table nor json", form)}
	}
	return printer{cmd.OutOrStdout(), form == "json"}, nil
}

// print writes value as one line of JSON, or rows below a head.
func (p printer) print(value any, head []string, rows ...[]string) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(value)
	}
	t := tabwriter.NewWriter(p.w, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			row[i] = plainText(cell)
		}
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// plainText keeps what was stored from steering a terminal.
func plainText(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 {
			return '?'
		}
		return r
	}, s)
}
