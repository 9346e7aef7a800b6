package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/magento-copernica/syncd/internal/oracle"
)

// gate stands before the account: it loses a write, kills a caller in the middle of its
// work, and knows each write that the account did.
type gate struct {
	account http.Handler

	mu      sync.Mutex
	process int
	calls   int            // of this process
	writes  int            // of this process
	lose    bool           // this process's next creation
	at      map[int]func() // what happens while a call is worked
	last    map[string]writing
	again   map[int]int                   // by process
	holds   func(write int) (done func()) // called with mu held, which it may give away
	seen    func(key string)              // called before the account has a write
}

// begin counts another process. Its first creation may be lost on its way: that has no
// answer, is looked up, not found, and taken up again when it can no longer arrive.
func (g *gate) begin(loses bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.process++
	g.calls, g.writes, g.lose, g.at, g.holds = 0, 0, loses, nil, nil
}

// met is how many calls this process has made so far.
func (g *gate) met() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// during has something happen while the account works on these calls of this process.
func (g *gate) during(happens func(), calls ...int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at = map[int]func(){}
	for _, n := range calls {
		g.at[n] = happens
	}
}

// resent returns how many rows each process wrote with what the account had last got.
func (g *gate) resent() map[int]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.again)
}

func (g *gate) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	write := r.Method == http.MethodPut || r.Method == http.MethodDelete
	g.mu.Lock()
	g.calls++
	happens, process, lost := g.at[g.calls], g.process, false
	if write {
		g.writes++
		if g.lose && r.URL.Query().Has("create") {
			g.lose, lost = false, true
		}
		if g.holds != nil {
			defer g.holds(g.writes)()
		}
	}
	seen := g.seen
	g.mu.Unlock()
	if happens != nil {
		happens()
	}
	if lost {
		panic(http.ErrAbortHandler)
	}
	if !write {
		g.account.ServeHTTP(rw, r)
		return
	}
	row, what := written(r, body)
	if seen != nil {
		seen(row)
	}
	recorded := httptest.NewRecorder()
	g.account.ServeHTTP(recorded, r)
	if recorded.Code < 300 {
		g.note(process, row, what)
	}
	maps.Copy(rw.Header(), recorded.Header())
	rw.WriteHeader(recorded.Code)
	_, _ = rw.Write(recorded.Body.Bytes())
}

// note remembers what a row was written with last.
func (g *gate) note(process int, row string, what writing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, known := g.last[row]
	what.below = cmp.Or(what.below, before.below)
	if known && before == what {
		g.again[process]++
	}
	g.last[row] = what
}

// writing is what a row was written with: its content without consent, which goes with
// some writes only, and where it was created, since a row that is moved is created twice.
type writing struct{ content, below string }

// written names the row of a write by its key, or by its path where the body does not
// tell.
func written(r *http.Request, body []byte) (row string, what writing) {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return r.URL.Path, writing{content: r.Method}
	}
	if r.URL.Query().Has("create") {
		what.below = r.URL.Path
	}
	if inside, ok := fields["fields"].(map[string]any); ok {
		fields = inside
	}
	row = r.URL.Path
	for _, key := range []string{"customer_id", oracle.KeyOrders, oracle.KeyItems} { // a line names its order as well
		if value, ok := fields[key].(string); ok {
			row = value
		}
	}
	if len(fields) > 1 {
		delete(fields, "newsletter")
	}
	text, err := json.Marshal(fields)
	if err != nil {
		text = []byte(err.Error())
	}
	what.content = string(text)
	return row, what
}
