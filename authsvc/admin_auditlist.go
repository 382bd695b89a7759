package authsvc

import (
	"context"
	"net/http"
	"strconv"

	"github.com/stile-gate/stile/authsvc/store"
)

// auditList is a page of the audit. The head is as old as the page or older: whoever
// follows the entries to a page without any has come to that page's head, or the chain is
// cut short.
type auditList struct {
	Entries []store.AuditEntry `json:"entries"`
	Head    store.AuditHead    `json:"head"`
}

// listAudit shows the entries after the seq of ?after=.
func (a *Admin) listAudit(ctx context.Context, r *http.Request, _ none) (list auditList, err error) {
	if a.Audit == nil {
		return list, &callError{http.StatusNotFound, "there is no audit"}
	}
	after, err := numberIn(r, "after", 0, 0, 1<<53)
	if err != nil {
		return list, err
	}
	limit, err := numberIn(r, "limit", defaultPage, 1, maxPage)
	if err != nil {
		return list, err
	}
	if list.Head, err = a.Audit.AuditHead(ctx); err != nil {
		return list, err
	}
	list.Entries = []store.AuditEntry{}
	found, err := a.Audit.AuditEntries(ctx, after, int(limit))
	list.Entries = append(list.Entries, found...)
	return list, err
}

// numberIn reads a number of the query.
func numberIn(r *http.Request, name string, standard, least, most int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, badCall("%s is a number from %d to %d", name, least, most)
	}
	return n, nil
}
