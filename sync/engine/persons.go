package engine

import (
	"encoding/hex"
	"strconv"

	"github.com/magento-copernica/syncd/state"
)

// EmailHash is the state's hash of an e-mail, which is given as mapping.PersonOf has it: so
// it can be told from an address as well as from a guest's key. The hasher is
// [Config.Persons].
func EmailHash(persons state.Hasher, person string) state.Hash { return persons.Sum("email", person) }

// PersonStone is the name of a person's tombstone by their website, [mapping.Mapping.Realm]
// of it, and their e-mail as [mapping.PersonOf] has it.
func PersonStone(persons state.Hasher, website int64, person string) state.Hash {
	return stone(persons, website, EmailHash(persons, person))
}

// stone is the name of a person's tombstone: their website and the hash of their e-mail.
func stone(persons state.Hasher, website int64, email state.Hash) state.Hash {
	return persons.Sum("tombstone", strconv.FormatInt(website, 10), hex.EncodeToString(email[:]))
}
