// Package seal keeps small secrets at rest: the state's hash key, and tokens.
//
// A secret is sealed with AES-256-GCM (Tink) and bound to the name of the row it
// stands in, so a sealed value that is moved to another row does not open there.
// Each sealed value begins with an identifier of the key that made it. That tells
// "sealed with another key" from "damaged", and is what a rotation needs: values
// of an older key are recognised, opened with it and sealed again.
//
// No error and no printed form of a [Box] carries a key or a plaintext.
package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KeySize is the size of a key in bytes, before it is written as text.
const KeySize = 32

// Tink's layout of a sealed value: one byte of version, four of key identifier,
// twelve of nonce, the ciphertext, sixteen of tag.
const (
	prefixSize = 5
	nonceSize  = 12
	tagSize    = 16

	// Overhead is how many bytes a sealed value is longer than its plaintext.
	Overhead = prefixSize + nonceSize + tagSize
)

var (
	// ErrOtherKey says that a value was sealed with another key than the box's.
	ErrOtherKey = errors.New("it was sealed with another key")
	// ErrDamaged says that a value was changed, cut, or moved from another row.
	ErrDamaged = errors.New("the sealed value is damaged or belongs to another row")
)

// Box seals and opens values with one key. It is safe for concurrent use.
type Box struct {
	aead   tink.AEAD
	prefix [prefixSize]byte
}

// New returns a Box for a key of KeySize bytes, written as base64 (standard or URL
// alphabet, with or without padding) or as hexadecimal digits. White space around
// it is ignored, since keys often come from files that end in a newline.
func New(key string) (*Box, error) {
	raw, err := parse(key)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: KeySize, IVSizeInBytes: nonceSize, TagSizeInBytes: tagSize, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return nil, fmt.Errorf("set up AES-GCM: %w", err)
	}
	k, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), identifier(raw), params)
	if err != nil {
		return nil, fmt.Errorf("set up AES-GCM: %w", err)
	}
	aead, err := aesgcm.NewAEAD(k)
	if err != nil {
		return nil, fmt.Errorf("set up AES-GCM: %w", err)
	}
	return &Box{aead: aead, prefix: [prefixSize]byte(k.OutputPrefix())}, nil
}

// NewKey returns a new random key in the form that `openssl rand -base64 32` prints.
func NewKey() string {
	var raw [KeySize]byte
	rand.Read(raw[:]) // never fails: the runtime ends the process instead
	return base64.StdEncoding.EncodeToString(raw[:])
}

// Seal encrypts plaintext for a row. Two seals of one plaintext differ.
func (b *Box) Seal(plaintext []byte, row string) ([]byte, error) {
	sealed, err := b.aead.Encrypt(plaintext, []byte(row))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", row, err)
	}
	return sealed, nil
}

// Open decrypts a value that was sealed for the same row with the same key. It
// returns ErrOtherKey or ErrDamaged when it was not.
func (b *Box) Open(sealed []byte, row string) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, fmt.Errorf("open %s: %w", row, ErrDamaged)
	}
	if !b.Sealed(sealed) {
		return nil, fmt.Errorf("open %s: %w", row, ErrOtherKey)
	}
	plaintext, err := b.aead.Decrypt(sealed, []byte(row))
	if err != nil {
		// What the library says is of no use to an operator and is left out.
		return nil, fmt.Errorf("open %s: %w", row, ErrDamaged)
	}
	return plaintext, nil
}

// Sealed reports whether a value names this box's key as the one that sealed it.
func (b *Box) Sealed(sealed []byte) bool {
	return len(sealed) >= prefixSize && [prefixSize]byte(sealed[:prefixSize]) == b.prefix
}

// String keeps a Box that is printed by mistake from showing what is inside.
func (b *Box) String() string { return "seal.Box" }

// GoString does the same for %#v.
func (b *Box) GoString() string { return b.String() }

// LogValue does the same for logs.
func (b *Box) LogValue() slog.Value { return slog.StringValue(b.String()) }

// identifier derives the public identifier of a key. Its 32 bits say nothing
// useful about a random key of 256.
func identifier(raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte("syncd key identifier\x00"), raw...))
	return binary.BigEndian.Uint32(sum[:])
}

// parse reads a key as text. The forms differ in length, so none is mistaken for
// another: 64 digits are hexadecimal, 43 or 44 characters base64.
func parse(key string) ([]byte, error) {
	const how = "make one with `openssl rand -base64 32`"
	key = strings.TrimSpace(key)
	if key == "" {
		return nil, errors.New("the encryption key is empty: " + how)
	}
	if len(key) == hex.EncodedLen(KeySize) {
		if raw, err := hex.DecodeString(key); err == nil {
			return raw, nil
		}
	}
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(key, "="))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the encryption key is neither base64 nor %d hexadecimal digits: %s", 2*KeySize, how)
	}
	if len(raw) != KeySize {
		return nil, fmt.Errorf("the encryption key has %d bytes, not %d: %s", len(raw), KeySize, how)
	}
	return raw, nil
}
