package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magento-copernica/syncd/copernica"
	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/sync/mapping"
)

// Account is a Copernica account to check.
type Account struct {
	Client *copernica.Client
	Watch  *Watch           // stands before the client's transport
	Now    func() time.Time // this machine's clock

	Address  string // of the REST API, as configured
	Database string // name or id, as configured
	Mapping  *mapping.Mapping
	// Orders says that orders are written, so that their collections are needed.
	Orders bool
	// Target is what the state belongs to, as a run made it: see [state.Pipeline].
	// Empty before the first run.
	Target string
	// Unwritten says that the state has written nothing yet, so that the shop's code can
	// still be changed.
	Unwritten bool

	identity copernica.Identity
	refused  error // what the account says of the token
	db       *copernica.Database
}

const (
	groupAccount = "copernica"
	slowAccount  = "try again in a few minutes; if it stays so, look at Copernica's status page and at the proxy in between"

	fixProvision = "rename back in Copernica what was renamed there, or run `syncd provision`, which creates what is missing"
	fixCode      = "if they are this shop's, set SYNCD_SHOP to that code before the first run, which fixes it; if they are another shop's, all is well"
	fixRetype    = "change it in Copernica; `syncd provision --dry-run` shows all that differs"
)

// Checks are the checks of the account. They are made once.
func (a *Account) Checks() []Check {
	checks := []Check{
		{Name: "address", Try: a.address},
		{Name: "access token", After: []string{"address"}, Try: a.token},
		{Name: "clock", After: []string{"address"}, Try: clock(a.Watch, "Copernica", "Copernica's")},
		{Name: "database", After: []string{"access token"}, Try: a.database},
	}
	for _, t := range a.Mapping.Tables() {
		checks = append(checks, Check{Name: tableName(a.Mapping, t), After: []string{"database"}, Try: a.table(t)})
	}
	if a.Unwritten {
		checks = append(checks, Check{Name: "other shop codes", After: []string{"database"}, Try: a.others})
	}
	checks = append(checks, Check{Name: "consumption", After: []string{"access token"}, Try: a.consumption})
	for i := range checks {
		checks[i].Group, checks[i].Slow = groupAccount, slowAccount
	}
	return checks
}

func tableName(m *mapping.Mapping, t mapping.Table) string {
	if c := m.Collection(t); c != "" {
		return "collection " + c
	}
	return "fields"
}

// address asks who we are: a refusal is an answer too, and left to the next check.
func (a *Account) address(ctx context.Context) Finding {
	began := a.Now()
	identity, err := a.Client.Identity(ctx)
	if class := fault.ClassOf(err); err != nil && class != fault.Credentials && class != fault.Renew {
		return accountError(err)
	}
	a.identity, a.refused = identity, err
	return certificate(a.Watch, a.Now(), Good("%s answers in %s", a.Address, span(a.Now().Sub(began))))
}

func (a *Account) token(context.Context) Finding {
	if a.refused != nil {
		return accountError(a.refused)
	}
	text := fmt.Sprintf("accepted, account %s (id %d)", a.identity.Name, a.identity.ID)
	if a.identity.Company != "" {
		text += " of " + a.identity.Company
	}
	if v := a.Client.Version(); v < 4 {
		return Doubtful("set SYNCD_COPERNICA_API_VERSION=4 unless the account cannot", "%s; version %d of the API carries the token in the address of every call", text, v)
	}
	return Good("%s", text)
}

func (a *Account) database(ctx context.Context) Finding {
	db, err := a.Client.Database(ctx, a.Database)
	if errors.Is(err, copernica.ErrNoDatabase) {
		return a.noDatabase(ctx)
	}
	if err != nil {
		return accountError(err)
	}
	a.db = db
	// The engine's words for a target.
	if have := fmt.Sprintf("Copernica database %d", db.ID()); a.Target != "" && a.Target != have {
		return Wrong("set SYNCD_COPERNICA_DATABASE back, or use another state for the other database",
			"%s is %s, and the state belongs to %s", db.Name(), have, a.Target)
	}
	return Good("%s (id %d), %s", db.Name(), db.ID(), counted(len(db.Schema().Fields), "field"))
}

// noDatabase names those that exist: a missing one is a misspelt one more often than not.
func (a *Account) noDatabase(ctx context.Context) Finding {
	all, err := a.Client.Databases(ctx)
	if err != nil {
		return accountError(err)
	}
	if a.Target != "" {
		fix := "set SYNCD_COPERNICA_DATABASE back"
		if i := slices.IndexFunc(all, func(d copernica.DatabaseInfo) bool { return fmt.Sprintf("Copernica database %d", d.ID) == a.Target }); i >= 0 {
			fix += " to " + all[i].Name
		}
		return Wrong(fix, "the account has no database %s, and this state belongs to %s for good", a.Database, a.Target)
	}
	if len(all) == 0 {
		return Wrong("run `syncd provision`, which creates it", "the account has no database %s, and no other", a.Database)
	}
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.Name
	}
	return Wrong("set SYNCD_COPERNICA_DATABASE to one of these, or run `syncd provision --create-database`",
		"the account has no database %s, but %s", a.Database, listed(names))
}

// table compares the fields of the database, or of a collection, with the mapping.
func (a *Account) table(t mapping.Table) func(context.Context) Finding {
	return func(context.Context) Finding {
		if t != mapping.Profiles && !a.Orders {
			return Unneeded("not needed: orders are off")
		}
		findings := a.Mapping.CheckOf(a.db.Schema(), t)
		if f, ok := drift(findings); ok {
			return f
		}
		key := a.Mapping.KeyFieldOf(t)
		if err := a.key(t, key); err != nil {
			guard, ok := errors.AsType[*copernica.GuardError](err)
			if !ok {
				return accountError(err)
			}
			return Wrong("", "key field %s: %s", key, guard.Reason)
		}
		return Good("%s as the mapping needs them, key %s", counted(len(findings), "field"), key)
	}
}

// key asks the guard itself, which is what stands before each write (promise 12).
func (a *Account) key(t mapping.Table, field string) error {
	if t == mapping.Profiles {
		_, err := a.db.KeyField(field)
		return err
	}
	c, err := a.db.Collection(a.Mapping.Collection(t))
	if err == nil {
		_, err = c.KeyField(field)
	}
	return err
}

// drift words how the schema differs from the mapping; false: nowhere.
func drift(findings []mapping.Finding) (Finding, bool) {
	if len(findings) > 0 && findings[0].NoCollection {
		text := findings[0].String()
		if len(findings[0].Namesakes) > 0 {
			return Wrong("rename in Copernica, since names count case and all", "%s", text), true
		}
		return Wrong(fixProvision, "%s", text), true
	}
	var missing, other, slight []string
	for _, f := range findings {
		switch {
		case f.State == mapping.Missing:
			missing = append(missing, f.Need.Name)
		case f.Harmful():
			other = append(other, f.String())
		case f.State != mapping.Present:
			slight = append(slight, f.String())
		}
	}
	var texts, fixes []string
	if len(missing) > 0 {
		verb := "is"
		if len(missing) > 1 {
			verb = "are"
		}
		texts = append(texts, fmt.Sprintf("%s %s missing (%s)", counted(len(missing), "field"), verb, listed(missing)))
		fixes = append(fixes, fixProvision)
	}
	if len(other) > 0 {
		texts = append(texts, other...)
		fixes = append(fixes, fixRetype)
	}
	if texts != nil {
		return Wrong(strings.Join(fixes, "; "), "%s", strings.Join(slices.Concat(texts, slight), "; ")), true
	}
	if slight != nil {
		return Doubtful("longer values are cut, and look-ups without an index are slow: "+fixRetype, "%s", strings.Join(slight, "; ")), true
	}
	return Finding{}, false
}

// others looks for keys of other shops' codes while the code can still be changed.
func (a *Account) others(ctx context.Context) Finding {
	return OtherShops(ctx, a.db, a.Mapping)
}

// OtherShops looks for profiles with keys of other shops' codes, a page of them. They are
// a warning: several shops may share a database.
func OtherShops(ctx context.Context, db *copernica.Database, m *mapping.Mapping) Finding {
	key, err := db.KeyField(m.KeyField())
	if err != nil {
		return Unneeded("not tried: the database has no key field yet")
	}
	keys, complete, err := db.KeysBeside(ctx, key, m.ProfilePrefix())
	if err != nil {
		f := accountError(err)
		f.Status = Warning // nothing hangs on it
		return f
	}
	found := m.OtherShops(keys, complete)
	if found.None() {
		return Good("%s", found)
	}
	return Doubtful(fixCode, "%s holds %s", db.Name(), found)
}

func (a *Account) consumption(ctx context.Context) Finding {
	if a.Client.Version() == 1 {
		return Unneeded("version 1 of the API does not tell")
	}
	used, err := a.Client.Consumption(ctx)
	if err != nil {
		f := accountError(err)
		f.Status = Warning // nothing hangs on it
		return f
	}
	return Good("%s by all programs since %s", counted(int(used.Calls), "API call"), used.From.Format(time.DateOnly))
}

// accountError is a failed call. Its text has the fix.
func accountError(err error) Finding {
	if errors.Is(err, context.DeadlineExceeded) {
		return Wrong(slowAccount, "Copernica does not answer in time")
	}
	return Wrong("", "%s", err)
}
