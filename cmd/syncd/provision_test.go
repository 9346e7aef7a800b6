package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
)

// TestProvisionGoesOnAfterAFailure holds that a provision that broke off shows what was
// made and what was not, and that the next one makes the rest.
func TestProvisionGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	for path, made := range map[string]int{"/fields": 20, "/collections": 1} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			account := copernicatest.New(copernicatest.Config{})
			server := httptest.NewServer(account.Handler())
			t.Cleanup(server.Close)
			provision := func() (code int, printed, failed string) {
				a, stdout, stderr := newApp("HOME="+t.TempDir(), "SYNCD_COPERNICA_API_URL="+server.URL+"/v4",
					"SYNCD_COPERNICA_AUTH_URL="+server.URL, "SYNCD_COPERNICA_ACCESS_TOKEN="+copernicatest.AccessToken)
				code = a.run(t.Context(), []string{"provision"})
				return code, stdout.String(), stderr.String()
			}
			refusing := account.Faults().Add(emulator.Fault{
				Method: http.MethodPost, PathContains: path, Skip: made,
				Status: http.StatusForbidden, Body: `{"error":{"message":"Not allowed"}}`,
			})
			code, printed, failed := provision()
			if code == exitDone || !strings.Contains(failed, "syncd: create ") {
				t.Errorf("exit code %d: %s", code, failed)
			}
			if !strings.Contains(printed, " created\n") || !strings.Contains(printed, " not created\n") {
				t.Errorf("it does not say what was made and what was not:\n%s", printed)
			}
			refusing.Remove()
			if code, printed, failed = provision(); code != exitDone || !strings.Contains(printed, " created\n") || strings.Contains(printed, "not created") {
				t.Errorf("exit code %d\n%s%s", code, printed, failed)
			}
			if code, printed, _ = provision(); code != exitDone || strings.Contains(printed, " created\n") {
				t.Errorf("a third time: exit code %d\n%s", code, printed)
			}
		})
	}
}
