package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/magento-copernica/syncd/config"
	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/state"
	"github.com/magento-copernica/syncd/state/sqlite"
	"github.com/magento-copernica/syncd/sync/engine"
	"github.com/magento-copernica/syncd/sync/mapping"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	refused := &magento.Error{Status: 401, Class: fault.Credentials}
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"unknown", errors.New("boom"), 1},
		{"stopped", context.Canceled, 1},
		{"time ran out", context.DeadlineExceeded, 1},

		{"usage", &usageError{errors.New("unexpected argument")}, 2},
		{"configuration", &config.Error{Variable: "SYNCD_SHOP"}, 2},
		{"several mistakes", errors.Join(&config.Error{}, &config.Error{}), 2},
		{"missing database", fmt.Errorf("open: %w", copernica.ErrNoDatabase), 2},
		{"missing database as answered", &copernica.Error{Status: 400, Class: fault.Configuration}, 2},
		{"guard", &copernica.GuardError{Class: fault.Configuration}, 2},
		{"schema", &mapping.SchemaError{}, 2},
		{"a lock file of another user", fmt.Errorf("lock: %w", &sqlite.OwnerError{Err: fs.ErrPermission}), 2},
		{"another key", fmt.Errorf("open the state: %w", state.ErrKey), 2},
		{"another target", &state.TargetError{}, 2},
		{"wrong address", &httpx.Error{Kind: httpx.KindRequest}, 2},
		{"no such route", &magento.Error{Status: 404, Class: fault.Configuration}, 2},

		{"held by another", &state.HeldError{}, 1},
		{"fenced", state.ErrFenced, 1},
		{"call cut short by us", &httpx.Error{Kind: httpx.KindCanceled}, 1},
		{"shop answers 503 for ever", &magento.Error{Status: 503, Class: fault.Retry}, 1},
		{"one record", &copernica.Error{Status: 400, Class: fault.Record}, 1},

		{"refused connection", fmt.Errorf("read: %w", &httpx.Error{Kind: httpx.KindDial}), 3},
		{"unknown host", &httpx.Error{Kind: httpx.KindUnknownHost}, 3},
		{"certificate", &httpx.Error{Kind: httpx.KindCertificate}, 3},
		{"no answer", &httpx.Error{Kind: httpx.KindTimeout}, 3},
		{"breaker", &httpx.Error{Kind: httpx.KindBreakerOpen}, 3},
		{"refused token", refused, 3},
		{"refused token, then the end of the run", errors.Join(refused, state.ErrFenced), 3},
		{"token not renewed", &copernica.Error{Status: 401, Class: fault.Renew}, 3},

		{"a shop that answers 503, then the brake", errors.Join(&magento.Error{Status: 503, Class: fault.Retry}, &engine.MissingError{}), 2},
		{"a shop that answers 503, then a refused token", errors.Join(&magento.Error{Status: 503, Class: fault.Retry}, refused), 3},

		{"dead letters", &deadLettersError{open: 3}, 4},
		{"dead letters and a refused token", errors.Join(&deadLettersError{open: 3}, refused), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := exitCode(c.err); got != c.want {
				t.Errorf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

// A refusal that the schema explains is not told twice; anything else is kept.
func TestSchemaErrorSpeaksForRefusals(t *testing.T) {
	t.Parallel()
	schema := &mapping.SchemaError{}
	refused := fmt.Errorf("write: %w", &copernica.Error{Status: 400, Message: "Failed to get the field", Class: fault.Configuration})
	guard := &copernica.GuardError{Field: "customer_id", Class: fault.Configuration}
	down := &copernica.Error{Status: 503, Class: fault.Retry}
	for name, test := range map[string]struct{ err, want error }{
		"alone":         {schema, schema},
		"refused":       {errors.Join(errors.Join(refused, schema), nil), schema},
		"guarded":       {errors.Join(guard, schema), schema},
		"of two pages":  {errors.Join(errors.Join(refused, schema), &mapping.SchemaError{}), schema},
		"another cause": {errors.Join(down, schema), errors.Join(down, schema)},
		"no schema":     {errors.Join(refused, guard), errors.Join(refused, guard)},
		"in words":      {fmt.Errorf("both: %w, %w", refused, schema), fmt.Errorf("both: %w, %w", refused, schema)},
	} {
		if got := withoutEchoes(test.err); got.Error() != test.want.Error() {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
