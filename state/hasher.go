package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// HasherKeySize is the size in bytes of a Hasher's key.
const HasherKeySize = 32

// Hasher computes the keyed hashes of the ledger (promise 7). Its key is random
// and made once with a database, so hashes of one state say nothing in another.
type Hasher struct{ key [HasherKeySize]byte }

// NewHasher returns a Hasher for a key of HasherKeySize bytes.
func NewHasher(key []byte) (Hasher, error) {
	if len(key) != HasherKeySize {
		return Hasher{}, fmt.Errorf("hash key has %d bytes, not %d", len(key), HasherKeySize)
	}
	return Hasher{key: [HasherKeySize]byte(key)}, nil
}

// Key derives a key of HasherKeySize bytes for one purpose. It says nothing of the
// hasher's own key, and a database gives the same one each time.
func (h Hasher) Key(purpose string) []byte {
	return h.sum("derived key", []string{purpose})
}

// Sum hashes parts in a domain, such as "profile" or "email". Each part goes in
// with its length, so no two lists of parts run together.
func (h Hasher) Sum(domain string, parts ...string) Hash {
	return Hash(h.sum(domain, parts)[:len(Hash{})])
}

func (h Hasher) sum(domain string, parts []string) []byte {
	mac := hmac.New(sha256.New, h.key[:])
	var size [8]byte
	add := func(s string) {
		binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
		mac.Write(size[:])
		mac.Write([]byte(s))
	}
	add(domain)
	for _, p := range parts {
		add(p)
	}
	return mac.Sum(nil)
}
