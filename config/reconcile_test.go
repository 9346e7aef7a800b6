package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/config"
)

func TestPeriodsAndSwitches(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, append(slices.Clip(minimal),
		"SYNCD_RECONCILE_PERIOD=36h", "SYNCD_CONSENT_PERIOD=OFF", "SYNCD_WRITE_BACK=Off", "SYNCD_REPAIR=Report")...)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Reconcile != config.Period(36*time.Hour) || !cfg.Consent.Off() || cfg.WriteBack.On() || cfg.Repair != config.ReportRows {
		t.Errorf("%+v", cfg)
	}
	for period, want := range map[time.Duration]string{
		0: "off", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 15 * time.Minute: "15m", 90 * time.Second: "1m30s", 20 * time.Second: "20s",
	} {
		if got := config.Period(period).String(); got != want {
			t.Errorf("%s reads %s", want, got)
		}
	}
}

func TestPeriodsAndSwitchesThatMeanNothing(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"RECONCILE_PERIOD=59m":   "is 59m: write a duration from 1h to 720h, or off",
		"RECONCILE_PERIOD=daily": `is "daily", which is no period: write a duration such as 15m or 24h, or off`,
		"CONSENT_PERIOD=0":       `is "0", which is no period: write a duration such as 15m or 24h, or off`,
		"CONSENT_PERIOD=25h":     "is 25h: write a duration from 5m to 24h, or off",
		"WRITE_BACK=yes":         `is "yes": write on or off`,
		"REPAIR=delete":          `is "delete": write repair or report`,
	} {
		name, _, _ := strings.Cut(setting, "=")
		_, err := load(t, append(slices.Clip(minimal), "SYNCD_"+setting)...)
		if err == nil || err.Error() != "SYNCD_"+name+" "+want {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
