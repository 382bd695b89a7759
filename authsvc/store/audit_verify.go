package store

import "fmt"

// AuditFault is the first place where a chain is broken.
type AuditFault struct {
	Seq     int64
	Problem string
}

func (f *AuditFault) Error() string { return f.Problem }

func auditFault(seq int64, format string, args ...any) error {
	return &AuditFault{seq, fmt.Sprintf(format, args...)}
}

// VerifyAudit holds a whole chain against its head. Its error is an *AuditFault. It needs
// no store: entries and head may come from an export.
func VerifyAudit(entries []AuditEntry, head AuditHead) error {
	var v AuditVerifier
	for _, e := range entries {
		if err := v.Next(e); err != nil {
			return err
		}
	}
	return v.End(head)
}

// AuditVerifier is VerifyAudit for a chain that comes in pieces. The zero value stands
// before the first entry.
type AuditVerifier struct{ last AuditHead }

// Next takes the entry that follows; an *AuditFault when it does not.
func (v *AuditVerifier) Next(e AuditEntry) error {
	want := v.last.Seq + 1
	switch {
	case e.Seq > want:
		return auditFault(want, "entry %d is missing: entry %d stands in its place", want, e.Seq)
	case e.Seq < want:
		return auditFault(want, "entry %d stands where entry %d should", e.Seq, want)
	case e.Hash != e.digest():
		return auditFault(e.Seq, "entry %d was changed: its fields do not give its hash", e.Seq)
	case e.Prev != v.last.Hash && e.Seq == 1:
		return auditFault(1, "entry 1 names an entry before it: it is not the first")
	case e.Prev != v.last.Hash:
		return auditFault(e.Seq, "entry %d does not follow entry %d: it was written after another one than stands there now", e.Seq, v.last.Seq)
	}
	v.last = e.head()
	return nil
}

// Known holds the entry that was taken last against a head that was kept elsewhere, when it
// is the one that this was the head of; an *AuditFault when it is another.
func (v *AuditVerifier) Known(head AuditHead) error {
	if v.last.Seq == head.Seq && v.last.Hash != head.Hash {
		return auditFault(head.Seq, "entry %d is not the one that was known: the chain was made anew up to there or further", head.Seq)
	}
	return nil
}

// Last is the head of what was verified.
func (v *AuditVerifier) Last() AuditHead { return v.last }

// End holds the last entry against the head; an *AuditFault when the chain ends elsewhere.
func (v *AuditVerifier) End(head AuditHead) error {
	first := v.last.Seq + 1
	switch {
	case head.Seq == first:
		return auditFault(first, "entry %d, the last, is missing", first)
	case head.Seq > first:
		return auditFault(first, "entries %d to %d are missing at the end", first, head.Seq)
	case head.Seq < v.last.Seq:
		return auditFault(head.Seq+1, "entry %d was put in behind the end: the head is at %d", head.Seq+1, head.Seq)
	case head.Hash != v.last.Hash:
		return auditFault(head.Seq, "entry %d, the last, is not the one that the head was made with", head.Seq)
	}
	return nil
}
