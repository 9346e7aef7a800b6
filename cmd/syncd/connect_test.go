package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/state/sqlite"
)

// connectable is a stage whose account is connected in the browser rather than by a token.
func connectable(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	delete(s.environ, "SYNCD_COPERNICA_ACCESS_TOKEN")
	s.environ["SYNCD_COPERNICA_CLIENT_KEY"] = copernicatest.ClientKey
	s.environ["SYNCD_COPERNICA_CLIENT_SECRET"] = copernicatest.ClientSecret
	s.environ["SYNCD_COPERNICA_AUTHORIZE_URL"] = s.accountFront.url + "/en/authorize"
	return s
}

// watched is a buffer that tells of the first line that matches.
type watched struct {
	lockedBuffer
	pattern *regexp.Regexp
	found   chan string // one at most
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.lockedBuffer.Write(p)
	if match := w.pattern.FindString(w.String()); match != "" {
		select {
		case w.found <- match:
		default:
		}
	}
	return n, err
}

// connect runs the command; visit is what the user does with the address it prints.
func (s *stage) connect(visit func(address string), args ...string) outcome {
	s.t.Helper()
	stdout := &watched{pattern: regexp.MustCompile(`http://\S+/authorize\?\S+`), found: make(chan string, 1)}
	var stderr lockedBuffer
	a := &app{stdout: stdout, stderr: &stderr, environ: s.env(), now: func() time.Time { return time.Now().Add(time.Duration(s.ownAhead.Load())) }}
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan int, 1)
	go func() { done <- a.run(ctx, append([]string{"connect", "copernica"}, args...)) }()
	var code int
	select {
	case address := <-stdout.found:
		if visit == nil {
			cancel()
		} else {
			visit(address)
		}
		code = <-done
	case code = <-done:
	}
	out := outcome{code, stdout.String(), stderr.String()}
	s.sweep(strings.ReplaceAll(out.stdout+out.stderr, copernicatest.ClientKey, "(key)")) // it is no secret, and resembles one
	if strings.Contains(out.stdout+out.stderr, copernicatest.ClientSecret) {
		s.t.Errorf("the application's secret was printed:\n%s%s", out.stdout, out.stderr)
	}
	return out
}

// browse follows an address as a browser does, through the consent page and back.
func (s *stage) browse(says string) func(string) {
	return func(address string) {
		s.t.Helper()
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, nil)
		s.must(err)
		resp, err := http.DefaultClient.Do(req)
		s.must(err)
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		s.must(err)
		if !strings.Contains(string(page), says) {
			s.t.Errorf("the page does not say %q:\n%s", says, page)
		}
	}
}

// keptToken is the token in the state.
func (s *stage) keptToken() string {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), sqlite.Config{Path: s.statePath()})
	s.must(err)
	defer store.Close()
	secret, err := store.Secret(s.t.Context(), tokenSecret)
	s.must(err)
	return string(secret)
}

// TestConnect gives access, runs with the token, has it revoked, and connects again.
func TestConnect(t *testing.T) {
	t.Parallel()
	s := connectable(t)
	s.ends(exitConfiguration, s.run("run"), "SYNCD_COPERNICA_ACCESS_TOKEN", "syncd connect copernica")

	out := s.connect(s.browse("close this window"))
	s.ends(exitDone, out)
	for _, line := range []string{"access was given, and the token is kept in " + s.statePath() + ", sealed", "connected: account Emulator of Emulator BV"} {
		if !strings.Contains(out.stdout, line) {
			t.Errorf("the output lacks %q:\n%s", line, out.stdout)
		}
	}
	token := s.keptToken()
	files, err := filepath.Glob(s.statePath() + "*")
	s.must(err)
	for _, name := range files {
		content, err := os.ReadFile(name)
		s.must(err)
		if token == "" || bytes.Contains(content, []byte(token)) {
			t.Errorf("%s shows the token %q", name, token)
		}
	}
	s.inStep()
	s.ends(exitDone, s.run("provision", "--dry-run"))
	if found := s.check(exitDone); len(found) != 0 {
		t.Errorf("check: %+v", found)
	}

	s.everybodyChanges()
	s.account.Revoke()
	s.ends(exitPeer, s.run("run"), "refuses the access token", "run `syncd connect copernica` again")
	s.account.Log().Reset()
	s.ends(exitPeer, s.run("run"), "not tried again before", "run `syncd connect copernica` again")
	if n := s.account.Log().Total(); n != 0 {
		t.Errorf("a revoked token was tried %d times more", n)
	}
	if found := s.check(exitPeer); found[0].Name != "access token" || !strings.Contains(found[0].Text, "syncd connect copernica") {
		t.Errorf("check: %+v", found)
	}

	// Somebody waits for a check, so it tries all the same; what it finds counts for all.
	s.account.Grant(token)
	if found := s.check(exitPeer); len(found) != 1 || found[0].Name != "clock" {
		t.Errorf("check: %+v", found)
	}
	s.ends(exitDone, s.run("run"))
	s.account.Revoke()
	s.ends(exitDone, s.connect(s.browse("close this window")))
	if s.keptToken() == token {
		t.Error("the old token is still kept")
	}
	s.pass(time.Minute)
	s.inStep()
}

// TestConnectPort comes back to the port that was asked for.
func TestConnectPort(t *testing.T) {
	t.Parallel()
	s := connectable(t)
	taken := strings.TrimPrefix(s.shopFront.url, "http://127.0.0.1:")
	s.ends(exitConfiguration, s.connect(nil, "--port", taken), "--port", "address already in use")
}

// TestConnectWithoutAccess keeps no token whatever the user does.
func TestConnectWithoutAccess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		consent copernicatest.Consent
		page    string
		says    []string
	}{
		"refused":   {copernicatest.ConsentRefused, "given no access", []string{"refused", "syncd connect copernica"}},
		"no code":   {copernicatest.ConsentSilent, "given no access", []string{"without a code", "syncd connect copernica"}},
		"no secret": {copernicatest.ConsentGiven, "", []string{"SYNCD_COPERNICA_CLIENT_SECRET"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := connectable(t)
			account := copernicatest.New(copernicatest.Config{Switches: copernicatest.Switches{Consent: c.consent}})
			s.accountFront.show(account.Handler())
			if name == "no secret" {
				s.environ["SYNCD_COPERNICA_CLIENT_SECRET"] = "hunter2"
			}
			s.ends(exitPeer, s.connect(s.browse(c.page)), c.says...)
			if token := s.keptToken(); token != "" {
				t.Error("a token was kept")
			}
		})
	}
}

func TestConnectStopped(t *testing.T) {
	t.Parallel()
	s := connectable(t)
	s.ends(exitFailed, s.connect(nil), "nothing was connected")
}

func TestConnectNeeds(t *testing.T) {
	t.Parallel()
	s := connectable(t)
	s.environ["SYNCD_COPERNICA_ACCESS_TOKEN"] = stageToken
	s.ends(exitConfiguration, s.connect(nil), "SYNCD_COPERNICA_ACCESS_TOKEN", "take it away")
	s.environ["SYNCD_COPERNICA_ACCESS_TOKEN"], s.environ["SYNCD_DATABASE_URL"] = "", ":memory:"
	s.ends(exitConfiguration, s.connect(nil), "SYNCD_DATABASE_URL", "in memory")
}
