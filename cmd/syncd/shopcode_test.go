package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestPromise17_AWrongShopCodeIsTold holds that a state that begins under another code
// than the profiles in Copernica have is told so by check, provision and its first run,
// and refused by none of them: several shops may share a database.
func TestPromise17_AWrongShopCodeIsTold(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.ends(exitDone, s.run("run"))
	s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(t.TempDir(), "second", "syncd.db")

	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("under the code that Copernica knows: %+v", found)
	}
	const told = "32 profiles with keys of the shop code shop"
	s.environ["SYNCD_SHOP"] = "wrong"
	s.finds(exitDone, "copernica/other shop codes warning", "Magento holds "+told, "set SYNCD_SHOP to that code before the first run")
	for _, args := range [][]string{{"provision", "--dry-run"}, {"provision"}} {
		out := s.run(args...)
		s.ends(exitDone, out)
		if !strings.Contains(out.stdout, "\nwarning: Magento holds "+told+": if they are this shop's, set SYNCD_SHOP") {
			t.Errorf("%v says nothing of it:\n%s", args, out.stdout)
		}
	}
	out := s.run("run", "customers")
	s.ends(exitDone, out)
	if n := strings.Count(out.stderr, `found="`+told+`"`); n != 1 {
		t.Errorf("the first run warns %d times:\n%s", n, out.stderr)
	}

	// The code is fixed now, and said enough about.
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("after the first run: %+v", found)
	}
	s.everybodyChanges()
	for _, args := range [][]string{{"provision"}, {"run"}} {
		out := s.run(args...)
		s.ends(exitDone, out)
		if strings.Contains(out.stdout+out.stderr, "shop code") {
			t.Errorf("%v warns again:\n%s%s", args, out.stdout, out.stderr)
		}
	}
}
