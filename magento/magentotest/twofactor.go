package magentotest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"time"
)

// TOTPSecret is a key that a user of the shop may have set up Google Authenticator with:
// see [Switches].
const TOTPSecret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

const codeStep = 30 * time.Second

// configured reports whether the user has the google provider.
func (s Switches) configured() bool { return s.OTP != "" || s.TOTPSecret != "" }

// codeAt returns the code of a key at a time.
func codeAt(secret string, at time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		panic("magentotest: Switches.TOTPSecret is no base32: " + err.Error())
	}
	counter := make([]byte, 8)
	binary.BigEndian.PutUint64(counter, uint64(at.Unix()/int64(codeStep/time.Second)))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter)
	digest := mac.Sum(nil)
	offset := digest[19] & 0xf
	number := int(digest[offset]&0x7f)<<24 | int(digest[offset+1])<<16 | int(digest[offset+2])<<8 | int(digest[offset+3])
	return fmt.Sprintf("%06d", number%1000000)
}

// Code returns what the user's Google Authenticator shows now.
func (s *Shop) Code() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return codeAt(s.switches.TOTPSecret, s.cfg.Now())
}

// rightCode checks a code. One step before and after the present one are right too, as
// the shop's window has it. The caller holds the lock.
func (s *Shop) rightCode(code string) bool {
	if s.switches.OTP != "" && code == s.switches.OTP {
		return true
	}
	if s.switches.TOTPSecret == "" || s.switches.OneTimeCodes && s.keys.codes[code] {
		return false
	}
	for _, off := range []time.Duration{0, -codeStep, codeStep} {
		if codeAt(s.switches.TOTPSecret, s.cfg.Now().Add(off)) == code {
			s.keys.codes[code] = true
			return true
		}
	}
	return false
}

// googleToken is the endpoint of the google provider.
func (c *call) googleToken() (any, *failure) {
	in, bad := c.credentials("username", "password", "otp")
	if bad != nil {
		return nil, bad
	}
	s := c.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad := s.signIn(in["username"], in["password"]); bad != nil {
		return nil, bad
	}
	switch {
	case !s.switches.TwoFactor || !s.switches.configured():
		f := fail(http.StatusBadRequest, "Provider is not allowed.")
		f.session = true
		return nil, f
	case !s.rightCode(in["otp"]):
		f := fail(http.StatusUnauthorized, "Invalid code.")
		f.session = true
		return nil, f
	}
	c.session = true
	return s.newToken(), nil
}
