package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// flagValue is what a flag writes to.
type flagValue interface {
	String() string
	Set(text string) error
	Type() string
}

// filled is a flag that takes no empty value.
type filled struct{ flagValue }

// Set refuses what a shell makes of a variable that is not set: --network "$OFFICE" would
// otherwise bound nothing, without a word. An empty element of a list is one, too.
func (f filled) Set(text string) error {
	elements := []string{text}
	if strings.HasSuffix(f.Type(), "Slice") {
		elements = strings.Split(text, ",")
	}
	for _, e := range elements {
		if strings.TrimSpace(e) == "" {
			return errors.New("it is empty; say a value, or leave the flag out")
		}
	}
	return f.flagValue.Set(text)
}

// fill has flags of a verb refuse empty values: all where leaving one out means something else.
func fill(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		f.Value = filled{f.Value}
		if f.DefValue == "[]" { // else the help would show it
			f.DefValue = ""
		}
	}
}
