package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	const value = "hunter2"
	secret := config.NewSecret(value)
	type outer struct {
		Exported config.Secret
		hidden   config.Secret
	}
	both := outer{secret, secret}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s", "%.3s", "%p"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", &secret)
		fmt.Fprintf(&out, verb+"\n", both)
		fmt.Fprintf(&out, verb+"\n", &both)
		fmt.Fprintf(&out, verb+"\n", []config.Secret{secret})
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler)
		log.Info("as a value", "secret", secret)
		log.Info("in a struct", "config", both)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"secret": secret, "struct": both}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output holds %q:\n%s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), "(secret)") {
		t.Error("the mask is never printed")
	}
	if got := fmt.Sprintf("%v%q", config.Secret{}, config.Secret{}); got != `""` {
		t.Errorf("an unset secret prints %s", got)
	}
	if !secret.Equal(config.NewSecret(value)) || secret.Equal(config.Secret{}) {
		t.Error("secrets compare wrongly")
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Budget{
		"5000":        {Records: 5000},
		"15m":         {Time: 15 * time.Minute},
		"5000,15m":    {Records: 5000, Time: 15 * time.Minute},
		"1h30m,1":     {Records: 1, Time: 90 * time.Minute},
		" 7 , 1.5s  ": {Records: 7, Time: 1500 * time.Millisecond},
	} {
		var got, again config.Budget
		if err := got.EnvDecode(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		if err := again.EnvDecode(got.String()); err != nil || again != got {
			t.Errorf("%q does not come back from %q: %+v, %v", text, got.String(), again, err)
		}
	}
	if !(config.Budget{}).IsZero() || (config.Budget{}).String() != "" {
		t.Error("no budget is not zero")
	}
}

func TestZeroZoneIsUTC(t *testing.T) {
	t.Parallel()
	if got := (config.Zone{}).Location(); got != time.UTC {
		t.Errorf("zone %s", got)
	}
}
