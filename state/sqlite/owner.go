package sqlite

import (
	"fmt"
	"os"
)

// owner is a user and a group by number.
type owner struct{ user, group int }

// OwnerError is a file beside the database that this user may not open, most often
// because another user made it.
type OwnerError struct {
	Path string // of the file
	Fix  string // what to do
	Err  error  // what the system said
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("this user may not open %s, which lies beside the state: %s: %v", e.Path, e.Fix, e.Err)
}

func (e *OwnerError) Unwrap() error { return e.Err }

// give hands a file that this process has just made to the owner of the database, so
// that root, who looks at a state, does not lock out the user it belongs to. SQLite
// does the same for its own files. It is done as far as the system allows it.
//
// The file must have been made with O_EXCL: through a link that somebody laid in its
// place another file would be given away.
func give(f *os.File, database string) {
	info, err := os.Stat(database)
	if err != nil {
		return // a new state belongs to whoever makes it
	}
	if want, ok := ownerOf(info); ok && want.user != os.Geteuid() {
		f.Chown(want.user, want.group) //nolint:errcheck // without the right to, it stays as it is
	}
}

// foreign explains why a file beside the database cannot be opened.
func foreign(path, database string, err error) error {
	fix := "give it to the user that syncd runs as"
	if info, statErr := os.Stat(database); statErr == nil {
		if have, ok := ownerOf(info); ok && have.user != os.Geteuid() {
			fix = fmt.Sprintf("the state belongs to the user with number %d: run syncd as that user", have.user)
		} else if ok {
			fix = fmt.Sprintf("run `chown %d:%d %s` as root", have.user, have.group, path)
		}
	}
	return &OwnerError{Path: path, Fix: fix, Err: err}
}
