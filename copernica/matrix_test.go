package copernica_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
)

// positions are those of each switch beside its zero value. A bool has one.
var positions = map[string][]any{
	"TokenKey":        {"access_token", "token", "jwt", "authorization_token"},
	"TokenLifetime":   {time.Hour},
	"AuthFailure":     {http.StatusUnauthorized, http.StatusForbidden},
	"AuthHostFailure": {http.StatusUnauthorized, http.StatusForbidden},
	"ErrorStatus":     {http.StatusOK, http.StatusNotFound, http.StatusUnprocessableEntity},
	"Consent":         {copernicatest.ConsentRefused, copernicatest.ConsentSilent, copernicatest.ConsentForged},
	"StateLength":     {64, 65},
	"UnknownFilter":   {copernicatest.UnknownFilterIgnored},
	"LongText":        {copernicatest.LongTextKept, copernicatest.LongTextRefuse},
	"RefusedDomains":  {[]string{"126.com"}},
	"PutStatus":       {http.StatusOK, http.StatusSeeOther},
	"UpsertRace":      {time.Second},
	"ListsForbidden":  {http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound},

	"DestinationsForbidden": {http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
}

// setting is one position of one switch, all others at zero.
type setting struct {
	name     string // "" when all are at zero
	position any
	s        copernicatest.Switches
}

func (s setting) String() string { return fmt.Sprintf("%s=%v", s.name, s.position) }

// settings lists every position of every switch, from the type itself: one that is added
// later is tried without anybody thinking of it, or asked for its positions.
func settings(t *testing.T) []setting {
	t.Helper()
	all := []setting{{position: "all switches at zero"}}
	kind := reflect.TypeFor[copernicatest.Switches]()
	known := maps.Clone(positions)
	for i := range kind.NumField() {
		field := kind.Field(i)
		values := known[field.Name]
		delete(known, field.Name)
		switch {
		case field.Type.Kind() == reflect.Bool:
			values = []any{true}
		case len(values) == 0:
			t.Fatalf("Switches.%s has no positions: say in this test which ones it has", field.Name)
		}
		for _, v := range values {
			s := setting{name: field.Name, position: v}
			reflect.ValueOf(&s.s).Elem().Field(i).Set(reflect.ValueOf(v))
			all = append(all, s)
		}
	}
	for name := range known {
		t.Fatalf("Switches has no %s", name)
	}
	return all
}

// refusedSteps are those that end in an error, under one version and switches: the only
// ones that may.
func refusedSteps(version int, s copernicatest.Switches) []string {
	if s.OnlyVersion4 && version < 4 {
		return []string{stepIdentity}
	}
	var steps []string
	for step, refused := range map[string]bool{
		stepConsumption: version == 1,
		stepSubRemoval:  version == 1 && !s.Version1Upserts,
		stepCompletely:  version == 1,
		stepPublisher:   version == 1 || s.ListsForbidden != 0 || s.NoPublisher,
		stepSuite:       version == 1 || s.ListsForbidden != 0 || version > 2 && s.DestinationsForbidden != 0 && !s.SuiteNamesProfiles,
		stepLongText:    s.LongText == copernicatest.LongTextRefuse,
		stepDomain:      len(s.RefusedDomains) > 0,
		stepConnect:     s.Consent != copernicatest.ConsentGiven || s.StateLength > 64,
	} {
		if refused {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps
}

// conformed runs one case and compares what was refused with what may be.
func conformed(t *testing.T, version int, s copernicatest.Switches) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := conform(t, version, s)
		if diff := cmp.Diff(refusedSteps(version, s), slices.Sorted(maps.Keys(w.refused))); diff != "" {
			t.Errorf("refused (-want +got):\n%s\n%v", diff, w.refused)
		}
	})
}

// Everything the client does, under each version and each position of each switch:
// exact, or refused in words.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, s := range settings(t) {
		for version := 1; version <= 4; version++ {
			t.Run(fmt.Sprintf("v%d %s", version, s), func(t *testing.T) {
				t.Parallel()
				conformed(t, version, s.s)
			})
		}
	}
}

// The same under switches that are thrown together.
func TestConformanceOfMixes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	all := settings(t)
	for n := range 40 {
		var s copernicatest.Switches
		var names []string
		for range 2 + rng.IntN(6) {
			one := all[1+rng.IntN(len(all)-1)]
			field := reflect.ValueOf(&s).Elem().FieldByName(one.name)
			field.Set(reflect.ValueOf(one.s).FieldByName(one.name))
			names = append(names, one.String())
		}
		version := 1 + n%4
		t.Run(fmt.Sprintf("v%d %v", version, names), func(t *testing.T) {
			t.Parallel()
			conformed(t, version, s)
		})
	}
}
