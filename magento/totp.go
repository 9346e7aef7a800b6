package magento

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Google Authenticator computes with, and Magento's provider of that name
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// codeStep is how long a code holds. The number of the step since 1970 is what it is made of.
const codeStep = 30 * time.Second

// totpKey reads a key as Magento shows it beside the QR code.
func totpKey(shown string) ([]byte, error) {
	bare := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '=' {
			return -1
		}
		return unicode.ToUpper(r)
	}, shown)
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(bare)
	if err != nil || len(key) == 0 {
		return nil, configurationError(settingTOTP + " is no key of Google Authenticator: write the letters and the digits 2 to 7 that Magento shows beside the QR code")
	}
	return key, nil
}

// totp returns the six digits of a step: RFC 6238 with the SHA-1 of RFC 4226.
func totp(key []byte, number int64) string {
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(number)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

// codes makes the codes of one key. No code is used twice: shops that are strict refuse
// the second use.
type codes struct {
	key   []byte
	clock *clock
	last  int64 // step of the last code
}

// next returns the code of the shop's present step; when that was used it waits for the
// next one.
func (c *codes) next(ctx context.Context) (string, error) {
	for {
		now := c.clock.now()
		number := now.Unix() / int64(codeStep/time.Second)
		if number != c.last {
			c.last = number
			return totp(c.key, number), nil
		}
		timer := time.NewTimer(time.Unix(0, 0).Add(time.Duration(number+1) * codeStep).Sub(now))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		}
	}
}
