package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// AppendAudit adds a record to the end of the chain.
func (e *embedded) AppendAudit(ctx context.Context, r AuditRecord) (AuditEntry, error) {
	return write(ctx, e, "append_audit", func(tx writer) (AuditEntry, error) {
		head, err := auditHead(tx)
		if err != nil {
			return AuditEntry{}, err
		}
		entry := r.after(head, e.clock())
		return entry, putAudit(tx, entry)
	})
}

func putAudit(tx writer, entry AuditEntry) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("encode entry %d of the audit: %w", entry.Seq, err)
	}
	tx.put(auditBucket, numberKey(entry.Seq), string(text))
	tx.put(metaBucket, auditHeadRef, headText(entry.head()))
	return nil
}

// AuditEntries lists the entries after a seq, in their order. It takes what is there as it
// is: a verifier says what is wrong with it.
func (e *embedded) AuditEntries(ctx context.Context, afterSeq int64, limit int) ([]AuditEntry, error) {
	return ask(ctx, e, "audit", func(tx reader) (list []AuditEntry, err error) {
		for _, text := range tx.from(auditBucket, after(numberKey(max(afterSeq, 0)))) {
			entry, err := parseAudit(text)
			if err != nil {
				return nil, err
			}
			if list = append(list, entry); len(list) == limitOrDefault(limit) {
				break
			}
		}
		return list, nil
	})
}

func parseAudit(text string) (entry AuditEntry, err error) {
	if err := json.Unmarshal([]byte(text), &entry); err != nil {
		return AuditEntry{}, fmt.Errorf("entry of the audit: %w: %w", ErrCorrupt, err)
	}
	return entry, nil
}

// AuditHead is where the chain ends.
func (e *embedded) AuditHead(ctx context.Context) (AuditHead, error) {
	return ask(ctx, e, "audit_head", auditHead)
}

func auditHead(tx reader) (AuditHead, error) {
	text, _ := tx.get(metaBucket, auditHeadRef)
	return parseHead(text)
}
