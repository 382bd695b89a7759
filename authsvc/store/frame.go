package store

import (
	"crypto/sha256"
	"encoding/binary"
)

// framedDigest hashes texts, each behind its length (8 bytes, big-endian), so that no two
// lists of texts are hashed alike.
func framedDigest(texts ...string) digest {
	var framed []byte
	for _, text := range texts {
		framed = binary.BigEndian.AppendUint64(framed, uint64(len(text)))
		framed = append(framed, text...)
	}
	return sha256.Sum256(framed)
}
