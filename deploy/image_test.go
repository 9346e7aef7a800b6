package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// contained runs syncd as the image and docker-compose.yml have it: alone in a file
// system that takes no writes, for user 65532, with a volume for
// the state.
const contained = `set -eu
mount --make-rprivate /
mount --bind "$IMAGE" "$IMAGE"
mount -o remount,bind,ro "$IMAGE"
mount --bind "$VOLUME" "$IMAGE/var/lib/syncd"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$IMAGE/tmp"
exec chroot --userspec=65532:65532 "$IMAGE" /usr/local/bin/syncd "$@"`

// TestImageHoldsAllThatIsNeeded runs the program in the file system that the Dockerfile
// builds, put together by hand.
func TestImageHoldsAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		notRun(t, "syncd in the file system of its image", "mounting needs root")
		return
	}
	if missing, ok := have("unshare", "chroot"); !ok {
		notRun(t, "syncd in the file system of its image", missing+" is not installed")
		return
	}
	image, volume := t.TempDir(), t.TempDir()
	for _, folder := range []string{"usr/local/bin", "var/lib/syncd", "tmp"} {
		if err := os.MkdirAll(filepath.Join(image, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(image, "usr/local/bin/syncd"), []byte(read(t, binary)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(volume, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	shop, account := emulate(t, "magento", "--customers", "30"), emulate(t, "copernica")
	environ := []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "IMAGE=" + image, "VOLUME=" + volume, "STATE_DIRECTORY=/var/lib/syncd",
	}
	for line := range strings.Lines(shop + account) {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			environ = append(environ, setting)
		}
	}
	for _, args := range [][]string{{"version"}, {"provision"}, {"run"}, {"check"}, {"status", "--max-lag", "1h"}, {"demo", "--exit", "--customers", "50"}} {
		cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-c", contained, "syncd"}, args...)...)
		cmd.Env = environ
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("syncd %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if _, err := os.Stat(filepath.Join(volume, "syncd.db.key")); err != nil {
		t.Errorf("the state does not lie in the volume: %v", err)
	}
}
