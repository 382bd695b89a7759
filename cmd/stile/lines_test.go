package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// The lines are those of slog's own handler, whatever stands in them.
func TestLinesAreThoseOfTheStandardHandler(t *testing.T) {
	at := time.Date(2026, 11, 23, 4, 5, 6, 789_000_000, time.FixedZone("", 3600))
	texts := []string{"", "plain", `quote"`, `back\slash`, "line\nbreak", "\x1b[31m", "é", "\xff", "<script>&", "\u2028", "\x7f"}
	var records []slog.Record
	for _, text := range texts {
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelError, slog.LevelInfo + 1} {
			r := slog.NewRecord(at, level, text, 0)
			r.AddAttrs(slog.String("a", text), slog.Int64("n", -7), slog.String(text, "key"))
			records = append(records, r)
		}
		r := slog.NewRecord(at, slog.LevelInfo, "m", 0)
		r.AddAttrs(slog.Any("error", errors.New(text)), slog.Duration("d", time.Second), slog.Group("g", "x", text), slog.Bool("b", true), slog.Float64("f", 0.1))
		records = append(records, r)
	}
	records = append(records, slog.NewRecord(time.Time{}, slog.LevelInfo, "no time", 0), slog.NewRecord(at, slog.LevelInfo, "none", 0))
	var got, want bytes.Buffer
	ours := slog.Handler(newLineHandler(&got, slog.LevelInfo))
	theirs := slog.Handler(slog.NewJSONHandler(&want, nil))
	for _, with := range [][]slog.Attr{nil, {slog.String("edge", "traefik")}, {slog.String("odd", "é"), slog.Any("x", 1.5)}, {slog.Int("n", 3)}} {
		ours, theirs = ours.WithAttrs(with), theirs.WithAttrs(with)
		for _, r := range records {
			if err := errors.Join(ours.Handle(context.Background(), r), theirs.Handle(context.Background(), r)); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("got  %swant %s", got.String(), want.String())
			}
			got.Reset()
			want.Reset()
		}
	}
	ours, theirs = ours.WithGroup("g"), theirs.WithGroup("g")
	_ = errors.Join(ours.Handle(context.Background(), records[0]), theirs.Handle(context.Background(), records[0]))
	if got.String() != want.String() {
		t.Errorf("in a group: got  %swant %s", got.String(), want.String())
	}
}
