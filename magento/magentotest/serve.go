package magentotest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// call is a request to the REST API on its way through the shop.
type call struct {
	shop    *Shop
	request *http.Request
	query   *node
	body    []byte
	scope   string // store code of the path, "" if none
	id      int64  // the number in the path
	session bool   // the answer comes with a session
}

// failure is an answer that is not a success.
type failure struct {
	status     int
	message    string // with its placeholders
	parameters any    // an object or a list; nil if there are none
	errors     list
	session    bool
	fatal      bool // PHP broke off; it answers by itself
}

// fail returns a failure with parameters by position.
func fail(status int, message string, parameters ...string) *failure {
	f := &failure{status: status, message: message}
	if len(parameters) > 0 {
		all := list{}
		for _, p := range parameters {
			all = append(all, p)
		}
		f.parameters = all
	}
	return f
}

func required(field string) *failure {
	f := fail(http.StatusBadRequest, `"%fieldName" is required. Enter and try again.`)
	f.parameters = object{{"fieldName", field}}
	return f
}

func wrongType(value string) string {
	return fmt.Sprintf(`The "%s" value's type is invalid. The "int" type was expected. Verify and try again.`, value)
}

func (f *failure) tree() object {
	o := object{{"message", f.message}}
	if f.errors != nil {
		o = append(o, member{"errors", f.errors})
	}
	if f.parameters != nil {
		o = append(o, member{"parameters", f.parameters})
	}
	return o
}

// serve answers a request the way nginx and PHP do together.
func (s *Shop) serve(w http.ResponseWriter, r *http.Request) {
	if !emulator.Wait(r.Context(), s.cfg.Latency) {
		panic(http.ErrAbortHandler)
	}
	s.begin(r)
	if len(r.RequestURI) > maxURI {
		htmlPage(w, http.StatusRequestURITooLong, nginxPage("414 Request-URI Too Large"))
		return
	}
	path, ok := strings.CutPrefix(strings.TrimPrefix(collapse(r.URL.Path), "/index.php"), "/rest")
	if !ok || path != "" && path[0] != '/' {
		if r.URL.Path == "/magento_version" {
			s.showVersion(w)
			return
		}
		storefront(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	print, ok := printer(r.Header.Values("Accept"))
	if !ok {
		htmlPage(w, http.StatusInternalServerError, errorPage())
		return
	}
	c := &call{shop: s, request: r, query: parseQuery(r.URL.RawQuery), body: body}
	answer, bad := c.work(path)

	h := w.Header()
	if bad != nil && bad.fatal {
		s.session(h, r)
		phpFatal(w)
		return
	}
	h.Set("Content-Type", print.contentType)
	h.Set("Cache-Control", "no-store")
	status := http.StatusOK
	if bad != nil {
		status, answer, c.session = bad.status, bad.tree(), bad.session
	} else {
		h.Set("X-Frame-Options", "SAMEORIGIN")
		if fields := c.query.get("fields"); fields != nil && fields.text != "" {
			answer = filtered(answer, fields.text)
		}
	}
	if c.session {
		s.session(h, r)
	}
	text := print.append(nil, answer)
	if r.Method == http.MethodHead {
		text = nil
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(text) > 1000 {
		h.Set("Content-Encoding", "gzip")
		text = pack(text)
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// pack compresses an answer, which nginx does for callers that take it.
func pack(text []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(text)
	_ = w.Close()
	return out.Bytes()
}

// maxURI is the longest request line the recorded shop's nginx took; 8 KB is common
// elsewhere.
const maxURI = 16 << 10

// filtered applies the fields parameter to a success. A text or a number has none.
func filtered(answer any, fields string) any {
	switch answer.(type) {
	case object, list:
		want, ok := parseFields(fields)
		if !ok {
			return list{}
		}
		return want.pick(answer)
	default:
		return answer
	}
}

// collapse removes doubled and trailing slashes, which the shop does not mind.
func collapse(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "/"), func(p string) bool { return p == "" })
	return "/" + strings.Join(parts, "/")
}

// work finds the route, checks the caller and does what was asked.
func (c *call) work(path string) (any, *failure) {
	method := c.request.Method
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}, method) {
		return nil, fail(http.StatusMethodNotAllowed, "The "+method+" HTTP method is not supported.")
	}
	rest, bad := c.enter(path)
	if bad != nil {
		return nil, bad
	}
	route, param, ok := findRoute(method, rest)
	if !ok || strings.HasPrefix(route.path, "V1/tfa/") && c.settings().NoTwoFactor {
		return nil, fail(http.StatusNotFound, "Request does not match any route.")
	}
	if route.resource != "" {
		if bad := c.authorise(route.resource); bad != nil {
			return nil, bad
		}
	}
	if param != "" {
		id, err := strconv.ParseInt(param, 10, 64)
		if err != nil {
			return nil, fail(http.StatusBadRequest, wrongType(param))
		}
		c.id = id
	}
	return route.work(c)
}

// enter reads the store code and the version off a path below /rest. Anything before
// the version must be a store's code; V2 is a version without routes.
func (c *call) enter(path string) (rest string, bad *failure) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if isVersion(first) {
		return first + "/" + rest, nil
	}
	c.scope = first
	known := first == "all" || slices.ContainsFunc(c.shop.storeViews(), func(v View) bool { return v.Code == first })
	version, _, _ := strings.Cut(rest, "/")
	if !known || !isVersion(version) {
		return "", fail(http.StatusBadRequest, "Specified request cannot be processed.")
	}
	return rest, nil
}

func isVersion(s string) bool {
	return len(s) > 1 && s[0] == 'V' && strings.Trim(s[1:], "0123456789") == ""
}

// website returns the website of the URL's store, which decides what is_subscribed of
// a single customer means. The scope `all` has none: 0.
func (c *call) website() int64 {
	switch c.scope {
	case "":
		return 1
	case "all":
		return 0
	}
	all := c.shop.storeViews()
	i := slices.IndexFunc(all, func(v View) bool { return v.Code == c.scope })
	return all[i].WebsiteID
}

// session starts a session unless the caller brought one.
func (s *Shop) session(h http.Header, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cookie, err := r.Cookie("PHPSESSID"); err == nil {
		if n, err := strconv.Atoi(strings.TrimPrefix(cookie.Value, "emulator")); err == nil && n > 0 && n <= s.sessions {
			return
		}
	}
	s.sessions++
	expires := s.now().Add(sessionLife)
	h.Add("Set-Cookie", fmt.Sprintf("PHPSESSID=emulator%018d; expires=%s; Max-Age=%d; path=/; HttpOnly; SameSite=Lax",
		s.sessions, expires.Format(http.TimeFormat), int(sessionLife.Seconds())))
	h.Set("Expires", "Thu, 19 Nov 1981 08:52:00 GMT")
	h.Set("Pragma", "no-cache")
}
