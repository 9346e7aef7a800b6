package copernicatest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/emulator"
)

// TestFilters_AgainstNaiveEvaluator compares lists with an evaluator that knows no
// index: LIKE by regular expression, everything else by plain comparison.
func TestFilters_AgainstNaiveEvaluator(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	a, c := account(t, copernicatest.Switches{})
	words := []string{"", "a", "A", "ab", "aB+", " a", "a b", "é", "É", "a_b", "a%b", "k\\", "=a", "<>", "😀"}
	pick := func() string { return words[rng.IntN(len(words))] }
	var ids []int64
	for range 60 {
		id, err := a.AddProfile("Shop", map[string]string{"customer_id": pick(), "firstname": pick(), "orders": strconv.Itoa(rng.IntN(5) - 1)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	change := func() {
		id := ids[rng.IntN(len(ids))]
		switch rng.IntN(8) {
		case 0:
			_ = a.RemoveProfile(id)
		default:
			_ = a.EditProfile(id, map[string]string{"customer_id": pick(), "orders": strconv.Itoa(rng.IntN(5) - 1)})
		}
	}
	type cond struct{ name, op, value string }
	ops := []string{"==", "!=", "<>", "<", ">", "<=", ">=", "=~", "!~"}
	for n := range 1500 {
		if n%20 == 0 {
			change()
		}
		var conds []cond
		var filters []string
		for range 1 + rng.IntN(3) {
			k := cond{[]string{"customer_id", "firstname", "orders", "id"}[rng.IntN(4)], ops[rng.IntN(len(ops))], pick()}
			switch k.name {
			case "orders":
				k.value = strconv.Itoa(rng.IntN(5) - 1)
			case "id":
				k.value = strconv.FormatInt(ids[rng.IntN(len(ids))], 10)
			}
			// What reads as another operator, or is trimmed, is the parser's own test.
			if strings.ContainsAny(k.value, "=<>") || strings.HasSuffix(k.value, " ") {
				continue
			}
			conds = append(conds, k)
			filters = append(filters, k.name+k.op+k.value)
		}
		want := []string{}
		for _, p := range a.Profiles("Shop") {
			ok := true
			for _, k := range conds {
				ok = ok && naive(p, k.name, k.op, k.value)
			}
			if ok {
				want = append(want, strconv.FormatInt(p.ID, 10))
			}
		}
		if diff := cmp.Diff(want, c.list("/database/Shop/profiles", "", filters...).ids()); diff != "" {
			t.Fatalf("%q: %s", filters, diff)
		}
	}
}

func naive(p copernicatest.Profile, name, op, value string) bool {
	stored, want := strings.ToLower(p.Fields[name]), strings.ToLower(value)
	if name == "id" {
		stored = strconv.FormatInt(p.ID, 10)
	}
	if op == "=~" || op == "!~" {
		return naiveLike(want, stored) == (op == "=~")
	}
	order := strings.Compare(stored, want)
	if name == "orders" || name == "id" {
		x, _ := strconv.Atoi(stored)
		y, _ := strconv.Atoi(want)
		order = x - y
	}
	return slices.Contains(map[string][]bool{
		"==": {order == 0}, "!=": {order != 0}, "<>": {order != 0}, "<": {order < 0}, ">": {order > 0}, "<=": {order <= 0}, ">=": {order >= 0},
	}[op], true)
}

func naiveLike(pattern, s string) bool {
	var re strings.Builder
	re.WriteString(`(?s)^`)
	literal := false
	for _, r := range pattern {
		switch {
		case literal:
			re.WriteString(regexp.QuoteMeta(string(r)))
			literal = false
		case r == '\\':
			literal = true
		case r == '%':
			re.WriteString(".*")
		case r == '_':
			re.WriteString(".")
		default:
			re.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	if literal {
		re.WriteString(`\\`)
	}
	return regexp.MustCompile(re.String() + "$").MatchString(s)
}

func TestDump_IsStable(t *testing.T) {
	t.Parallel()
	build := func(order []int, noise bool) *copernicatest.Account {
		a, c := account(t, copernicatest.Switches{})
		if noise {
			id := c.create("Shop", m{"customer_id": "gone"})
			c.want(204, "DELETE", "/profile/"+id, "")
		}
		for _, i := range order {
			p := c.create("Shop", m{"customer_id": fmt.Sprintf("k%d", i), "firstname": "x<&>"})
			c.want(201, "POST", "/profile/"+p+"/subprofiles/Orders", fmt.Sprintf(`{"order_id":"o%d"}`, i))
		}
		return a
	}
	first, second := build([]int{1, 2, 2, 10}, false), build([]int{10, 2, 1, 2}, true)
	if diff := cmp.Diff(string(first.Dump()), string(second.Dump())); diff != "" {
		t.Error(diff)
	}
	got := string(first.Dump())
	for _, want := range []string{"database Magento\ndatabase Shop\n", "  field customer_id text 64 index\n", "  key k2 rows 2\n", "x<&>", `{"order_id":"o10","total":""}`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if _, err := second.AddProfile("Shop", nil); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first.Dump(), second.Dump()) {
		t.Error("one profile more, the same dump")
	}
}

func ExampleAccount_Dump() {
	a := copernicatest.New(copernicatest.Config{})
	_ = a.AddFields("Magento", copernicatest.Field{Name: "customer_id", Length: 64, Index: true})
	_, _ = a.AddProfile("Magento", map[string]string{"customer_id": "shop-c1"})
	fmt.Printf("%s", a.Dump())
	// Output:
	// database Magento
	//   field customer_id text 64 index
	//   key shop-c1 rows 1
	//     {"customer_id":"shop-c1"}
}

// TestBehaviour10_Faults shows what a fault leaves behind: nothing when it strikes
// before the write, the row when it strikes after.
func TestBehaviour10_Faults(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		a, c := account(t, copernicatest.Switches{})
		before := a.Calls()
		kinds := []emulator.Fault{
			{Name: "reset", Kind: emulator.Reset},
			{Name: "loadbalancer", Kind: emulator.HTML, Status: 503, Body: "<title>Loadbalancer Error</title>"},
			{Name: "error", Kind: emulator.Status, Status: 500},
		}
		for i, f := range kinds {
			f.After, f.Method, f.PathContains, f.Times = after, "PUT", "/profiles", 1
			h := a.Faults().Add(f)
			key := fmt.Sprintf("k%d", i)
			req, err := http.NewRequestWithContext(t.Context(), "PUT",
				"https://x/v4/database/Shop/profiles?create=1&fields[]=customer_id=="+key, strings.NewReader(body(m{"customer_id": key})))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+c.token)
			res, err := c.client.Do(req)
			switch {
			case f.Kind == emulator.Reset && !errors.Is(err, syscall.ECONNRESET):
				t.Errorf("%s: %v", f.Name, err)
			case f.Kind != emulator.Reset && (err != nil || res.StatusCode != f.Status):
				t.Errorf("%s: %v %v", f.Name, res, err)
			}
			if res != nil {
				_ = res.Body.Close()
			}
			if h.Hits() != 1 {
				t.Errorf("%s: %d hits", f.Name, h.Hits())
			}
		}
		want := map[bool]int{false: 0, true: len(kinds)}[after]
		if got := len(a.Profiles("Shop")); got != want {
			t.Errorf("after=%v: %d profiles, want %d", after, got, want)
		}
		if got := a.Calls() - before; got != want {
			t.Errorf("after=%v: %d calls billed, want %d", after, got, want)
		}
	}
}

// BenchmarkUpsert shows that an upsert costs the same in a small and a large
// database.
func BenchmarkUpsert(b *testing.B) {
	for _, size := range []int{10, 100_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			a, c := account(b, copernicatest.Switches{})
			for i := range size {
				if _, err := a.AddProfile("Shop", map[string]string{"customer_id": fmt.Sprintf("k%d", i)}); err != nil {
					b.Fatal(err)
				}
			}
			c.list("/database/Shop/profiles", "", "customer_id==k1")
			i := 0
			for b.Loop() {
				key := fmt.Sprintf("k%d", i%size)
				i++
				c.want(204, "PUT", "/database/Shop/profiles?create=1&fields[]=customer_id=="+key,
					body(m{"customer_id": key, "email": "a@b.nl", "firstname": strconv.Itoa(i), "seen": "2020-01-02 03:04:05"}))
			}
		})
	}
}
