package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc/store"
)

// auditPage is a page of the audit, and where the audit ended before it was read.
type auditPage struct {
	Entries []store.AuditEntry `json:"entries"`
	Head    store.AuditHead    `json:"head"`
}

func newAudit() *cobra.Command {
	cmd := group("audit", "Who changed what", auditVerify(), auditTail(), auditExport())
	adminFlags(cmd)
	return cmd
}

// auditReader reads the audit in pieces.
type auditReader struct {
	cmd    *cobra.Command
	client *adminClient
	after  int64 // the seq of the last entry that was read
}

func newAuditReader(cmd *cobra.Command, after int64) (*auditReader, error) {
	client, err := newAdminClient(cmd)
	return &auditReader{cmd, client, after}, err
}

func (r *auditReader) page(limit int) (page auditPage, err error) {
	query := url.Values{"after": {strconv.FormatInt(r.after, 10)}, "limit": {strconv.Itoa(limit)}}
	err = r.client.call(r.cmd.Context(), http.MethodGet, "/v1/audit?"+query.Encode(), nil, &page)
	return page, err
}

// rest hands out every entry that follows, and answers where the audit ends. The head of
// a page is no newer than the page, so at the first page without entries all that the head
// tells of have been seen, or are not there.
func (r *auditReader) rest(each func(store.AuditEntry) error) (store.AuditHead, error) {
	const limit = 1000
	for {
		page, err := r.page(limit)
		if err != nil || len(page.Entries) == 0 {
			return page.Head, err
		}
		before := r.after
		for _, e := range page.Entries {
			if err := each(e); err != nil {
				return page.Head, err
			}
			r.after = max(r.after, e.Seq)
		}
		if r.after == before { // else it would go round for ever
			return page.Head, fmt.Errorf("behind entry %d stand entries that do not count on from it", before)
		}
	}
}

func auditVerify() *cobra.Command {
	var known string
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that no entry was changed, removed or put in", Args: takes(0, "no arguments"),
		Long: `Check that no entry was changed, removed or put in, and print the head. Who can write to
the store can make the whole chain anew: write the head down elsewhere, and give it as
--known another time, to see that the chain still goes through it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			head, err := parseKnown(known)
			if err != nil {
				return err
			}
			return verifyAudit(cmd, head)
		},
	}
	cmd.Flags().StringVar(&known, "known", "", "SEQ:HASH of a head that was printed before")
	fill(cmd, "known")
	return cmd
}

func parseKnown(text string) (head store.AuditHead, err error) {
	if text == "" {
		return head, nil
	}
	seq, hash, _ := strings.Cut(text, ":")
	head.Seq, err = strconv.ParseInt(seq, 10, 64)
	digits, hexErr := hex.DecodeString(hash)
	if err != nil || hexErr != nil || head.Seq < 1 || len(digits) != sha256.Size {
		return head, &misuseError{errors.New("--known takes SEQ:HASH, as `stile audit verify` printed it")}
	}
	head.Hash = hex.EncodeToString(digits) // in one case, as entries have it
	return head, nil
}

func verifyAudit(cmd *cobra.Command, known store.AuditHead) error {
	p, err := newPrinter(cmd)
	if err != nil {
		return err
	}
	r, err := newAuditReader(cmd, 0)
	if err != nil {
		return err
	}
	var v store.AuditVerifier
	head, err := r.rest(func(e store.AuditEntry) error {
		if err := v.Next(e); err != nil { // it does not stand in the place of its number
			return err
		}
		return v.Known(known)
	})
	if err == nil {
		err = v.End(head)
		err = endKnown(v.Last(), head, known, err)
	}
	var fault *store.AuditFault
	if err != nil && !errors.As(err, &fault) {
		return err
	}
	return printVerified(p, head, fault)
}

// endKnown says what a known entry tells of the end of a chain, beside what is wrong with it
// in itself: a known entry that stands in the chain was not put in behind its end.
func endKnown(last, head, known store.AuditHead, wrong error) error {
	switch {
	case last.Seq >= known.Seq && head.Seq < known.Seq:
		return &store.AuditFault{Seq: head.Seq + 1, Problem: fmt.Sprintf("the head is at entry %d, and entry %d, which was known, stands in the chain: the head was set back", head.Seq, known.Seq)}
	case wrong == nil && last.Seq < known.Seq:
		return &store.AuditFault{Seq: last.Seq + 1, Problem: fmt.Sprintf("the audit ends at entry %d, before entry %d, which was known", last.Seq, known.Seq)}
	}
	return wrong
}

// printVerified ends with 1 when the chain is broken.
func printVerified(p printer, head store.AuditHead, fault *store.AuditFault) error {
	if p.json {
		report := struct {
			OK      bool            `json:"ok"`
			Head    store.AuditHead `json:"head"`
			Seq     int64           `json:"seq,omitempty"` // the first that is wrong
			Problem string          `json:"problem,omitempty"`
		}{OK: fault == nil, Head: head}
		if fault != nil {
			report.Seq, report.Problem = fault.Seq, fault.Problem
		}
		if err := json.NewEncoder(p.w).Encode(report); err != nil || fault == nil {
			return err
		}
		return &toldError{exitFailed}
	}
	if fault != nil {
		return fmt.Errorf("the audit is broken at entry %d: %w", fault.Seq, fault)
	}
	if head.Seq == 0 {
		_, err := fmt.Fprintln(p.w, "The audit is empty.")
		return err
	}
	_, err := fmt.Fprintf(p.w, "%d entries, unbroken. The head, to be kept elsewhere:\n%d:%s\n", head.Seq, head.Seq, head.Hash)
	return err
}
