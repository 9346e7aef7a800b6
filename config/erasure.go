package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// Erasure says what becomes of people who are deleted or anonymised in the shop.
type Erasure string

// The policies.
const (
	EraseFlag   Erasure = "flag"   // nothing is erased: the state says that they are gone
	EraseRemove Erasure = "remove" // their profiles are removed
	EraseBlank  Erasure = "blank"  // their profiles stay, without what the mapping fills
)

// EnvDecode implements the decoder of envconfig.
func (e *Erasure) EnvDecode(value string) error {
	return oneOf(e, value, EraseFlag, EraseRemove, EraseBlank)
}

// Identity says who is one person: an account of the shop, or an e-mail.
type Identity string

// The identities.
const (
	ByAccount Identity = "account"
	ByEmail   Identity = "email"
)

// EnvDecode implements the decoder of envconfig.
func (i *Identity) EnvDecode(value string) error {
	return oneOf(i, value, ByAccount, ByEmail)
}

// Patterns are e-mails in which * stands for any characters and ? for one.
type Patterns []string

// EnvDecode implements the decoder of envconfig: patterns with commas between.
func (p *Patterns) EnvDecode(value string) error {
	var all Patterns
	for one := range strings.SplitSeq(value, ",") {
		one = strings.TrimSpace(one)
		switch {
		case one == "":
			continue
		case !strings.ContainsFunc(one, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }):
			return malformed(fmt.Sprintf("has %.40q, which is everybody: write e-mails such as *@anonymous.invalid", one))
		}
		all = append(all, one)
	}
	*p = all
	return nil
}

// checkErasure checks what erasure needs of other settings.
func (c Config) checkErasure(p *problems) {
	if c.Tombstones != "" && c.EncryptionKey.IsZero() {
		p.add("TOMBSTONE_FILE", "needs SYNCD_ENCRYPTION_KEY: a key that lies beside the state is lost together with it, and nobody could read the file then. "+
			"SYNCD_ENCRYPTION_KEY_FILE may name the key file of a state that has one; keep a copy elsewhere")
	}
}

// validateErasure checks the settings of erasure by themselves.
func (c Config) validateErasure(p *problems) {
	if c.Tombstones != "" && !filepath.IsAbs(c.Tombstones) {
		p.add("TOMBSTONE_FILE", "is %.60q: write a whole path, which begins with /", c.Tombstones)
	}
	if c.Erasure == EraseRemove && c.Copernica.APIVersion == 1 {
		p.add("ERASURE", "is remove, and version 1 of Copernica's API removes no profile completely: set SYNCD_COPERNICA_API_VERSION=4, or write blank")
	}
}
