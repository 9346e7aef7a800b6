package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/config"
)

func TestErasure(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, minimal...)
	if err != nil || cfg.Erasure != config.EraseFlag || cfg.Anonymised != nil || cfg.Tombstones != "" {
		t.Errorf("by default: %v, %v, %q, %v", cfg.Erasure, cfg.Anonymised, cfg.Tombstones, err)
	}
	cfg, err = load(t, append(slices.Clip(minimal), "SYNCD_ERASURE=Blank", "SYNCD_ANONYMISED= *@anonymous.invalid,deleted-???@example.com ,,",
		"SYNCD_TOMBSTONE_FILE=/var/lib/stones", "SYNCD_ENCRYPTION_KEY="+strings.Repeat("0", 64))...)
	if err == nil {
		err = cfg.Check(config.NeedState | config.NeedCopernica)
	}
	if err != nil || cfg.Erasure != config.EraseBlank || cfg.Tombstones != "/var/lib/stones" {
		t.Errorf("%v, %q, %v", cfg.Erasure, cfg.Tombstones, err)
	}
	if diff := cmp.Diff(config.Patterns{"*@anonymous.invalid", "deleted-???@example.com"}, cfg.Anonymised); diff != "" {
		t.Error(diff)
	}
}

func TestErasureThatMeansNothing(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"ERASURE=delete":              `SYNCD_ERASURE is "delete": write flag, remove or blank`,
		"ANONYMISED=a@b.invalid, *@*": `SYNCD_ANONYMISED has "*@*", which is everybody: write e-mails such as *@anonymous.invalid`,
		"TOMBSTONE_FILE=stones":       `SYNCD_TOMBSTONE_FILE is "stones": write a whole path, which begins with /`,
		"ERASURE=remove COPERNICA_API_VERSION=1": "SYNCD_ERASURE is remove, and version 1 of Copernica's API removes no profile completely: " +
			"set SYNCD_COPERNICA_API_VERSION=4, or write blank",
		"TOMBSTONE_FILE=/stones": "SYNCD_TOMBSTONE_FILE needs SYNCD_ENCRYPTION_KEY: a key that lies beside the state is lost together with it, and nobody could read the file then. " +
			"SYNCD_ENCRYPTION_KEY_FILE may name the key file of a state that has one; keep a copy elsewhere",
	} {
		environ := slices.Clip(minimal)
		for setting := range strings.FieldsSeq(strings.ReplaceAll(settings, ", ", ",")) {
			environ = append(environ, "SYNCD_"+setting)
		}
		cfg, err := load(t, environ...)
		if err == nil {
			err = cfg.Check(config.NeedCopernica)
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
