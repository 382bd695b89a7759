package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// document is what the admin API shows one of, as a table row.
type document interface{ row() []string }

// callAndPrint makes one call and prints what it answers; nothing when out is nil.
func callAndPrint(cmd *cobra.Command, method, path string, in, out any) error {
	p, err := newPrinter(cmd)
	if err != nil {
		return err
	}
	client, err := newAdminClient(cmd)
	if err != nil {
		return err
	}
	if err := client.call(cmd.Context(), method, path, in, out); err != nil {
		return err
	}
	switch doc := out.(type) {
	case *consumerDoc:
		return p.print(doc, consumerHead(), doc.row())
	case *keyDoc:
		return p.printKey(doc)
	}
	return nil
}

// everyPage follows a listing to its end.
func everyPage[Page, Doc any](cmd *cobra.Command, path string, query url.Values, open func(Page) ([]Doc, string)) ([]Doc, error) {
	client, err := newAdminClient(cmd)
	if err != nil {
		return nil, err
	}
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "1000")
	all := []Doc{}
	for {
		var page Page
		if err := client.call(cmd.Context(), http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		docs, next := open(page)
		all = append(all, docs...)
		if next == "" {
			return all, nil
		}
		query.Set("after", next)
	}
}

func printAll[Doc document](cmd *cobra.Command, head []string, all []Doc) error {
	p, err := newPrinter(cmd)
	if err != nil {
		return err
	}
	rows := make([][]string, len(all))
	for i, doc := range all {
		rows[i] = doc.row()
	}
	return p.print(all, head, rows...)
}
