package recording_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/magento-copernica/syncd/internal/recording"
)

func TestLoadParts(t *testing.T) {
	t.Parallel()
	folder := fstest.MapFS{
		"INDEX.tsv": {Data: []byte("ignored")},
		"sum.txt":   {Data: []byte("a summary\n")},
		"b.txt": {Data: []byte("# note: wrong\n# request (took 0.1s)\nPOST /rest/V1/x?y=1 HTTP/1.1\nAccept: a/b\n\n{\"p\": 1}\n\n" +
			"# response\nHTTP/1.1 500 \nSet-Cookie: A=1; path=/\nSet-Cookie: B=2\n\n{\n  \"a\n# ... recording cut here: body was 12 bytes\n")},
	}
	got, err := recording.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := []recording.Exchange{{
		Name: "b", Note: "wrong", Method: "POST", Target: "/rest/V1/x?y=1",
		RequestHeader: http.Header{"Accept": {"a/b"}}, RequestBody: []byte("{\"p\": 1}"),
		Status: 500, Header: http.Header{"Set-Cookie": {"A=1; path=/", "B=2"}}, Body: []byte("{\n  \"a"), Cut: true,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exchanges (-want +got):\n%s", diff)
	}
	if _, err := recording.Load(fstest.MapFS{"x.txt": {Data: []byte("# request\nGET / HTTP/1.1\n")}}); err == nil {
		t.Error("a file without a response is accepted")
	}
}

// TestLoadAll shows that every recording kept here is read in full.
func TestLoadAll(t *testing.T) {
	t.Parallel()
	all, err := recording.Load(os.DirFS("../../testdata/recordings/magento-2.4.7-p3"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 150 {
		t.Errorf("only %d recordings", len(all))
	}
	for _, e := range all {
		if e.Method == "" || !strings.HasPrefix(e.Target, "/") || e.Status < 200 || e.Header.Get("Date") == "" {
			t.Errorf("%s: %s %s -> %d %v", e.Name, e.Method, e.Target, e.Status, e.Header)
		}
		isJSON := strings.HasPrefix(e.Header.Get("Content-Type"), "application/json") && e.Method != http.MethodHead
		if !isJSON || e.Cut {
			continue
		}
		escaped := recording.PHPEscape(e.Body)
		var plain, again any
		if json.Unmarshal(e.Body, &plain) != nil || json.Unmarshal(escaped, &again) != nil {
			t.Errorf("%s: the body is no JSON", e.Name)
			continue
		}
		if diff := cmp.Diff(plain, again); diff != "" {
			t.Errorf("%s: PHPEscape changes the meaning:\n%s", e.Name, diff)
		}
		if bytes.ContainsFunc(escaped, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%s: not one line of ASCII", e.Name)
		}
	}
}

func TestPHPEscape(t *testing.T) {
	t.Parallel()
	in := "{\n  \"a b\": \"Zoë / “BV” 😀 \\\" \\n \\u00e9\",\n  \"n\": [1.5, null]\n}"
	want := `{"a b":"Zo\u00eb \/ \u201cBV\u201d \ud83d\ude00 \" \n \u00e9","n":[1.5,null]}`
	if got := string(recording.PHPEscape([]byte(in))); got != want {
		t.Errorf("PHPEscape\n got %s\nwant %s", got, want)
	}
}
