package main

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"
)

// The lines are those of slog's own handler, whatever stands in them.
func TestLinesAreThoseOfTheStandardHandler(t *testing.T) {
	at := time.Date(2026, 11, 23, 4, 5, 6, 789_000_000, time.FixedZone("", 3600))
	var got, want bytes.Buffer
	ours, theirs := newDecisionLog(&got, slog.LevelInfo), slog.NewJSONHandler(&want, nil)
	for _, text := range []string{"", "plain", `quote"`, `back\slash`, "line\nbreak", "\x1b[31m", "é", "\xff", "<script>&", "\u2028", "\x7f", "\x00\t"} {
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelError, slog.LevelInfo + 1} {
			record := slog.NewRecord(at, level, text, 0)
			record.AddAttrs(slog.String("edge", text), slog.String("path", text), slog.Int64("n", -7))
			if err := theirs.Handle(context.Background(), record); err != nil {
				t.Fatal(err)
			}
			ours.write(at, headOf(level, text, [2]string{"edge", text}), func(l *line) {
				l.text("path", text)
				l.some("none", "")
				l.number("n", -7)
			})
			if got.String() != want.String() {
				t.Errorf("got  %swant %s", got.String(), want.String())
			}
			got.Reset()
			want.Reset()
		}
	}
}
