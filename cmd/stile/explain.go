package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc"
	"github.com/stile-gate/stile/policy"
)

func newExplain() *cobra.Command {
	var path, clientIP string
	var headers []string
	cmd := &cobra.Command{
		Use: "explain METHOD URL", Short: "Say step by step what a request would meet, spending nothing",
		Long: `Say step by step what a request would meet. Nothing is spent, counted or logged.

With -c, the configuration is loaded here, and its store is asked. Without it, a running
stile is asked over its admin API. Exit codes: 0 let in, 1 refused, 2 wrong arguments.`,
		Example: `  stile explain -c stile.yaml GET https://api.example.com/v1/orders -H 'X-API-Key: …'`,
		Args:    takes(2, "a method and a URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := question(args[0], args[1], clientIP, headers)
			if err != nil {
				return err
			}
			p, err := newPrinter(cmd)
			if err != nil {
				return err
			}
			var x policy.Explanation
			if path != "" {
				x, err = explainHere(cmd.Context(), path, q)
			} else {
				x, err = explainThere(cmd, q)
			}
			if err != nil {
				return err
			}
			if err := p.printExplanation(x); err != nil {
				return err
			}
			if x.Reason != policy.OK.String() {
				return &toldError{exitFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file; left out, a running stile is asked")
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "header of the request, as 'Name: value'; may be given more than once")
	cmd.Flags().StringVar(&clientIP, "client-ip", "127.0.0.1", "address that the request comes from")
	fill(cmd, "config", "client-ip")
	adminFlags(cmd)
	return cmd
}

func question(method, url, clientIP string, headers []string) (authsvc.Question, error) {
	q := authsvc.Question{Method: method, URL: url, ClientIP: clientIP, Header: http.Header{}}
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			// The text stays out of the message: it may be a key that was pasted alone.
			return q, &misuseError{fmt.Errorf("-H takes 'Name: value'")}
		}
		q.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return q, nil
}

func explainHere(ctx context.Context, path string, q authsvc.Question) (policy.Explanation, error) {
	prog, problems := loadProgram(path, openStore)
	if err := problems.Err(); err != nil {
		return policy.Explanation{}, err
	}
	r, err := q.Request()
	if err != nil {
		return policy.Explanation{}, &misuseError{err}
	}
	d := prog.dry.Decide(ctx, r)
	return policy.Explain(r, &d).Mask(policy.KeyFormat{Prefix: prog.config.Keys.Prefix}), nil
}

func explainThere(cmd *cobra.Command, q authsvc.Question) (x policy.Explanation, err error) {
	client, err := newAdminClient(cmd)
	if err != nil {
		return x, err
	}
	err = client.call(cmd.Context(), http.MethodPost, "/v1/explain", q, &x)
	return x, err
}

func (p printer) printExplanation(x policy.Explanation) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(x)
	}
	var b strings.Builder
	for _, s := range x.Steps {
		mark := "  ok"
		if s.Refused {
			mark = "  NO"
		}
		fmt.Fprintf(&b, "%s  %-13s %s\n", mark, s.Step, plainText(s.Detail))
	}
	fmt.Fprintf(&b, "%d %s\n", x.Status, x.Reason)
	for _, name := range slices.Sorted(maps.Keys(x.Headers)) {
		fmt.Fprintf(&b, "  %s: %s\n", name, x.Headers[name])
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}
