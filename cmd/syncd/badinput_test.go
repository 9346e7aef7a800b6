package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/internal/seal"
	"github.com/magento-copernica/syncd/magento/magentotest"
	"github.com/magento-copernica/syncd/sync/engine"
)

// nowhere is an address on which nothing listens.
const nowhere = "http://127.0.0.1:1"

// badCase is one thing that is wrong, what the command says of it, and how an
// operator mends it.
type badCase struct {
	name   string
	fresh  bool // it is wrong from the start; otherwise a first run went well
	midway bool // pages before it are delivered
	spoil  func(*stage)
	code   int
	says   []string
	mend   func(*stage)
	check  func(*stage) // after the failure, before it is mended
}

// set returns a step that sets a variable, "" to take it away.
func set(name, value string) func(*stage) {
	return func(s *stage) { s.environ["SYNCD_"+name] = value }
}

// TestBadInput holds that whatever is wrong ends with the right exit code and one
// message that says what to do, leaves the checkpoint alone, touches nothing in
// Copernica beyond what was delivered, and is over with the run after it is mended.
func TestBadInput(t *testing.T) {
	t.Parallel()
	shopRight := func(s *stage) { s.environ["SYNCD_MAGENTO_BASE_URL"] = s.shopFront.url }
	apiRight := func(s *stage) { s.environ["SYNCD_COPERNICA_API_URL"] = s.accountFront.url + "/v4" }
	authRight := func(s *stage) { s.environ["SYNCD_COPERNICA_AUTH_URL"] = s.accountFront.url }
	unmasked := func(s *stage) { s.shopFront.show(nil); s.accountFront.show(nil) }
	faultless := func(s *stage) { s.shop.Faults().Clear(); s.account.Faults().Clear() }

	cases := []badCase{
		// Addresses.
		{
			name: "nothing listens at the shop's address", spoil: set("MAGENTO_BASE_URL", nowhere), mend: shopRight,
			code: exitPeer, says: []string{"magento", "connection refused", "SYNCD_MAGENTO_BASE_URL"},
		},
		{
			name: "the shop's address answers HTML 404", mend: unmasked,
			spoil: func(s *stage) { s.shopFront.show(page(http.StatusNotFound)) },
			code:  exitConfiguration, says: []string{"404", "HTML", "SYNCD_MAGENTO_BASE_URL"},
		},
		{
			name: "the shop's address answers HTML 200", mend: unmasked,
			spoil: func(s *stage) { s.shopFront.show(page(http.StatusOK)) },
			code:  exitFailed, says: []string{"HTML", "SYNCD_MAGENTO_BASE_URL"},
		},
		{
			name: "Copernica's address is given as the shop's", mend: shopRight,
			spoil: func(s *stage) { s.environ["SYNCD_MAGENTO_BASE_URL"] = s.accountFront.url },
			code:  exitConfiguration, says: []string{"SYNCD_MAGENTO_BASE_URL"},
		},
		{
			name: "nothing listens at Copernica's address", spoil: set("COPERNICA_API_URL", nowhere+"/v4"), mend: apiRight,
			code: exitPeer, says: []string{"copernica", "connection refused", "SYNCD_COPERNICA_API_URL"},
		},
		{
			name: "nothing listens at the authentication host's address", spoil: set("COPERNICA_AUTH_URL", nowhere), mend: authRight,
			code: exitPeer, says: []string{"copernica", "authentication host", "connection refused", "SYNCD_COPERNICA_AUTH_URL"},
		},
		{
			name: "the shop's address is given as Copernica's", mend: apiRight,
			spoil: func(s *stage) { s.environ["SYNCD_COPERNICA_API_URL"] = s.shopFront.url },
			code:  exitConfiguration, says: []string{"SYNCD_COPERNICA_API_URL"},
		},
		{
			name: "the shop's address is given as the authentication host's", mend: authRight,
			spoil: func(s *stage) { s.environ["SYNCD_COPERNICA_AUTH_URL"] = s.shopFront.url },
			code:  exitFailed, says: []string{"HTML", "SYNCD_COPERNICA_AUTH_URL"},
		},
		{
			name: "Copernica's address answers HTML 200", mend: unmasked,
			spoil: func(s *stage) {
				s.accountFront.show(onPath("/v4", page(http.StatusOK), s.account.Handler()))
			},
			code: exitFailed, says: []string{"HTML", "SYNCD_COPERNICA_API_URL"},
		},

		// Answers that break off, or are none.
		{
			name: "HTML instead of JSON in the middle of a walk", midway: true, mend: faultless,
			spoil: func(s *stage) {
				s.shop.Faults().Add(emulator.Fault{Kind: emulator.HTML, PathContains: "customers/search", Skip: 1})
			},
			code: exitFailed, says: []string{"customers/search", "HTML where JSON is due"},
		},
		{
			name: "maintenance", mend: faultless,
			spoil: func(s *stage) {
				s.shop.Faults().Add(emulator.Fault{Kind: emulator.HTML, Status: http.StatusServiceUnavailable})
			},
			code: exitFailed, says: []string{"503", "maintenance"},
		},
		{
			name: "the connection breaks in the middle of a page", midway: true, mend: faultless,
			spoil: func(s *stage) {
				s.shop.Faults().Add(emulator.Fault{Kind: emulator.Truncate, PathContains: "customers/search", Skip: 1})
			},
			code: exitPeer, says: []string{"customers/search", "breaks off"},
		},
		{
			name: "a page is JSON cut short", midway: true, mend: unmasked,
			spoil: rewriteSecondPage(func(body []byte) []byte { return body[:len(body)/2] }),
			code:  exitFailed, says: []string{"customers/search", "breaks off"},
		},
		{
			name: "a page without items that counts some", midway: true, mend: unmasked,
			spoil: rewriteSecondPage(func([]byte) []byte { return []byte(`{"items":null,"search_criteria":{},"total_count":7}`) }),
			code:  exitFailed, says: []string{"counts 7 rows and sends none", "var/log"},
		},
		{
			name: "a shop that ignores the filter", midway: true, mend: unmasked,
			spoil: func(s *stage) {
				s.shopFront.show(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.URL.RawQuery = withoutFilters(r.URL.RawQuery)
					s.shop.Handler().ServeHTTP(w, r)
				}))
			},
			code: exitConfiguration, says: []string{"ignores", "filter", "/rest"}, fresh: true,
		},

		// Credentials.
		{
			name: "the Copernica token was revoked", spoil: func(s *stage) { s.account.Revoke() }, mend: anotherToken,
			code: exitPeer, says: []string{"refuses the access token", "SYNCD_COPERNICA_ACCESS_TOKEN"},
		},
		{
			name: "the Copernica token is revoked in the middle of a run", midway: true,
			spoil: inSecondPage(func(s *stage) { s.account.Revoke() }),
			mend:  func(s *stage) { unmasked(s); anotherToken(s) },
			code:  exitPeer, says: []string{"refuses the access token", "SYNCD_COPERNICA_ACCESS_TOKEN"},
		},
		{
			name: "a wrong Magento token", spoil: set("MAGENTO_ACCESS_TOKEN", "hunter2-token"),
			mend: set("MAGENTO_ACCESS_TOKEN", magentotest.AccessToken),
			code: exitPeer, says: []string{"401", "SYNCD_MAGENTO_ACCESS_TOKEN"},
		},
		{
			name: "a wrong Magento password",
			spoil: func(s *stage) {
				s.environ["SYNCD_MAGENTO_ACCESS_TOKEN"] = ""
				s.environ["SYNCD_MAGENTO_USERNAME"], s.environ["SYNCD_MAGENTO_PASSWORD"] = magentotest.Username, "hunter2-password"
			},
			mend: set("MAGENTO_PASSWORD", magentotest.Password),
			code: exitPeer, says: []string{"SYNCD_MAGENTO_PASSWORD", "lock"},
			check: func(s *stage) {
				if n := s.shop.Log().Counts()["POST /rest/all/V1/integration/admin/token"]; n != 1 {
					s.t.Errorf("the refused password was tried %d times", n)
				}
			},
		},

		// The database.
		{
			name: "no such database", fresh: true, spoil: set("COPERNICA_DATABASE", "Nowhere"),
			mend: set("COPERNICA_DATABASE", copernicatest.DatabaseName),
			code: exitConfiguration, says: []string{"SYNCD_COPERNICA_DATABASE is Nowhere, ", "but Magento: set it to one of these, or run `syncd provision --create-database`"},
		},
		{
			name: "another database than the state's", spoil: set("COPERNICA_DATABASE", "4711"),
			mend: set("COPERNICA_DATABASE", copernicatest.DatabaseName),
			code: exitConfiguration, says: []string{"SYNCD_COPERNICA_DATABASE is 4711, ", "no such database: this state belongs to Copernica database ", "set it back to Magento"},
		},
		{
			name: "the key field is missing", fresh: true, spoil: dropField("customer_id"), mend: provision,
			code: exitConfiguration, says: []string{"customer_id", "syncd provision"},
		},
		{
			name: "the key field was renamed", spoil: renameField("customer_id", "customer"), mend: renameField("customer", "customer_id"),
			code: exitConfiguration, says: []string{"customer_id", "rename back"},
		},
		{
			name: "a mapped field was removed", spoil: dropField("lastname"), mend: provision,
			code: exitConfiguration, says: []string{"lastname", "syncd provision"},
		},
		{
			name: "the key field is renamed between two writes", fresh: true, midway: true,
			spoil: inSecondPage(renameField("customer_id", "customer")),
			mend:  func(s *stage) { unmasked(s); renameField("customer", "customer_id")(s) },
			code:  exitConfiguration, says: []string{"syncd provision"},
		},

		// The state.
		{
			name: "another encryption key", spoil: set("ENCRYPTION_KEY", seal.NewKey()), mend: set("ENCRYPTION_KEY", ""),
			code: exitConfiguration, says: []string{"SYNCD_ENCRYPTION_KEY"},
		},
		{
			name: "an encryption key that is none", spoil: set("ENCRYPTION_KEY", "hunter2"), mend: set("ENCRYPTION_KEY", ""),
			code: exitConfiguration, says: []string{"SYNCD_ENCRYPTION_KEY"},
		},
		{
			name:  "the key file is missing",
			spoil: func(s *stage) { s.must(os.Rename(s.statePath()+".key", s.statePath()+".elsewhere")) },
			mend:  func(s *stage) { s.must(os.Rename(s.statePath()+".elsewhere", s.statePath()+".key")) },
			code:  exitConfiguration, says: []string{"syncd.db.key", "SYNCD_ENCRYPTION_KEY"},
		},
		{
			name: "the state of another shop", spoil: set("SHOP", "other"), mend: set("SHOP", "shop"),
			code: exitConfiguration, says: []string{"SYNCD_SHOP"},
		},
		{
			name: "a state in a place that cannot be written", fresh: true,
			spoil: func(s *stage) {
				file := filepath.Join(s.environ["HOME"], "file")
				s.must(os.WriteFile(file, nil, 0o600))
				s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(file, "state", "syncd.db")
			},
			mend: func(s *stage) {
				s.environ["SYNCD_DATABASE_URL"] = "sqlite://" + filepath.Join(s.environ["HOME"], "state", "syncd.db")
			},
			code: exitConfiguration, says: []string{"SYNCD_DATABASE_URL"},
		},
	}
	// They mostly wait between attempts, so all of them go at once.
	var group sync.WaitGroup
	defer group.Wait()
	for _, c := range cases {
		group.Go(func() { t.Run(c.name, c.run) })
	}
}

func (c badCase) run(t *testing.T) {
	s := newStage(t)
	if !c.fresh {
		s.ends(exitDone, s.run("run"))
	}
	s.everybodyChanges()
	s.shop.Log().Reset()
	checkpoint := s.checkpoint()

	c.spoil(s)
	held := s.account.Dump()
	s.ends(c.code, s.run("run"), c.says...)
	if !c.midway && !bytes.Equal(held, s.account.Dump()) {
		t.Error("something was written to Copernica")
	}
	if c.check != nil {
		c.check(s)
	}
	c.mend(s)
	s.unmoved(checkpoint, c.midway)
	s.pass(2 * time.Minute)
	s.inStep()
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// anotherToken is how a revoked one is mended: the same would not be tried for a while.
func anotherToken(s *stage) {
	s.account.Grant("granted-once-more")
	s.environ["SYNCD_COPERNICA_ACCESS_TOKEN"] = "granted-once-more"
}

func dropField(name string) func(*stage) {
	return func(s *stage) { s.must(s.account.DropField(copernicatest.DatabaseName, name)) }
}

func renameField(from, to string) func(*stage) {
	return func(s *stage) { s.must(s.account.RenameField(copernicatest.DatabaseName, from, to)) }
}

func provision(s *stage) { s.ends(exitDone, s.run("provision")) }

// onPath sends the calls below a path to one handler and the others to another.
func onPath(prefix string, there, elsewhere http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) {
			there.ServeHTTP(w, r)
			return
		}
		elsewhere.ServeHTTP(w, r)
	})
}

// rewriteSecondPage changes every page of customers after the first.
func rewriteSecondPage(change func([]byte) []byte) func(*stage) {
	return func(s *stage) {
		var pages atomic.Int64
		s.shopFront.show(rewritten(s.shop.Handler(), func(r *http.Request, body []byte) []byte {
			if !strings.Contains(r.URL.Path, "customers/search") || pages.Add(1) < 2 {
				return body
			}
			return change(body)
		}))
	}
}

// withoutFilters drops the conditions of a search, as a broken module would.
func withoutFilters(query string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if !strings.Contains(part, "filter_groups") && !strings.Contains(part, "filterGroups") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}

// inSecondPage does something when the first page is committed and some writes of the second
// are answered, between two writes. It keeps the run from planning the second page until then,
// and has its writes made one after the other, so that it is the same however slow they are.
func inSecondPage(do func(*stage)) func(*stage) {
	const answered = 5
	return func(s *stage) {
		committed := make(chan struct{})
		commit := sync.OnceFunc(func() { close(committed) })
		var pages atomic.Int64
		s.tune = func(cfg *engine.Config) {
			cfg.TestHook = func(p engine.Point) {
				switch {
				case p == engine.PointCommitted:
					commit()
				case p == engine.PointPageRead && pages.Add(1) == 2:
					select {
					case <-committed:
					case <-time.After(time.Minute): // the first page failed, which the test tells
					}
				}
			}
		}
		var mu sync.Mutex
		writes := 0 // since the commit
		s.accountFront.show(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-committed:
				if r.Method == http.MethodPut {
					mu.Lock()
					defer mu.Unlock()
					if writes++; writes == answered+1 {
						do(s)
					}
				}
			default: // of the first page
			}
			s.account.Handler().ServeHTTP(w, r)
		}))
	}
}
