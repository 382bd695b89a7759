package config

import (
	"fmt"
	"slices"
)

// didYouMean is the end of a message about an unknown name: the nearest known one when
// it is near enough to be meant, or nothing.
func didYouMean(name string, known []string) string {
	most := 1
	if len(name) > 4 {
		most = 2
	}
	if best := nearest(name, known, most); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearest is the known name with the least edits to name, at most so many, or "". Of
// several the first in the alphabet, so that the same text gives the same message.
func nearest(name string, known []string, most int) string {
	const longest = 64 // names are shorter, and the work grows with the square
	best, least := "", most+1
	if len(name) > longest {
		return ""
	}
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		if n := edits(name, candidate, most); n < least {
			best, least = candidate, n
		}
	}
	return best
}

// edits counts the letters to put in, leave out, change, or swap with their neighbour to
// make b of a (optimal string alignment). It stops at most+1.
func edits(a, b string, most int) int {
	if max(len(a), len(b))-min(len(a), len(b)) > most {
		return most + 1
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := row[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return min(row[len(b)], most+1)
}
