package main

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/magento-copernica/syncd/copernica/copernicatest"
	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
)

// Peers that are down at the start are no reason to end.
func TestServeWaitsForItsPeers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.shopFront.show(page(http.StatusServiceUnavailable))
	d := s.serve("syncd")
	d.await(`level=ERROR msg="stream failed`)
	d.readiness(http.StatusServiceUnavailable)
	s.shopFront.show(nil)
	d.signal(syscall.SIGUSR1)
	d.readiness(http.StatusOK)
	s.compare()
	d.stop()
}

// A token that is revoked in the middle of a run ends it at once. However often a stream
// is due then, Copernica is not asked again with it; another token, taken over by SIGHUP,
// brings what was missed.
func TestPromise20_ATokenRevokedWhileTheDaemonWrites(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	delete(s.environ, "SYNCD_COPERNICA_ACCESS_TOKEN")
	token := filepath.Join(t.TempDir(), "token")
	s.must(os.WriteFile(token, []byte(stageToken), 0o600))
	s.environ["SYNCD_COPERNICA_ACCESS_TOKEN_FILE"] = token
	met, leave := s.holdWrites()
	d := s.serve("syncd", "SYNCD_SCHEDULE_ORDERS=off", "SYNCD_CONSENT_PERIOD=off", "SYNCD_RECONCILE_PERIOD=off")
	<-met
	s.account.Revoke()
	leave()
	d.await(`level=ERROR msg="stream failed, it is tried again when it is due" stream=customers class=credentials error=".*Copernica refuses the access token`)
	d.readiness(http.StatusServiceUnavailable)
	written, calls := len(s.account.Profiles(copernicatest.DatabaseName)), s.account.Log().Total()
	if written == 0 || written >= stageCustomers {
		t.Errorf("%d of %d were written: the token was not revoked in the middle", written, stageCustomers)
	}
	for n := 2; n <= 4; n++ {
		d.signal(syscall.SIGUSR1)
		d.awaitMetric(`syncd_runs_total{outcome="failed",stream="customers"} ` + strconv.Itoa(n))
	}
	if asked := s.account.Log().Total() - calls; asked != 0 {
		t.Errorf("Copernica was asked %d times more with a revoked token", asked)
	}

	s.account.Grant("granted-anew")
	s.must(os.WriteFile(token, []byte("granted-anew"), 0o600))
	d.signal(syscall.SIGHUP)
	d.await(`msg="the settings were read again"`)
	d.signal(syscall.SIGUSR1)
	d.await(`msg="stream works again" stream=customers`)
	d.readiness(http.StatusOK)
	s.compare()
	d.stop()
	if n := d.times(`level=ERROR`); n != 1 {
		text, _ := d.log.read()
		t.Errorf("%d errors for one cause:\n%s", n, text)
	}
}

// A PostgreSQL server that is down at the start, and again later, is waited for.
func TestServeWaitsForPostgreSQL(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	door := newDoor(t, pgtest.URL(t, pgtest.Template{}))
	s.environ["SYNCD_DATABASE_URL"], s.environ["SYNCD_ENCRYPTION_KEY"] = door.url, seal.NewKey()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	s.must(err)
	s.must(free.Close())
	d := s.serveSilently("syncd-mortal", "SYNCD_LISTEN="+free.Addr().String(), "SYNCD_SCHEDULE_CUSTOMERS=@every 1s", "SYNCD_SCHEDULE_ORDERS=@every 1s")
	d.address = free.Addr().String()
	d.await(`level=ERROR msg="the state cannot be opened`)
	if status, _ := d.ask("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d", status)
	}
	d.readiness(http.StatusServiceUnavailable)
	door.open()
	d.await(`msg="the state is open"`)
	d.readiness(http.StatusOK)
	s.compare()

	door.shut()
	d.await(`level=ERROR msg="(no run can begin|stream failed)`)
	d.readiness(http.StatusServiceUnavailable)
	door.open()
	d.readiness(http.StatusOK)
	d.await(`msg="(the state is within reach again|stream works again)`)
	s.everybodyChanges()
	d.awaitMetric(`syncd_rows_written_total{action="updated",stream="customers"} ` + strconv.Itoa(stageCustomers))
	s.compare()
	if n := d.times("the state cannot be opened"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// door is a way to a PostgreSQL server that can be shut.
type door struct {
	t                       *testing.T
	url, path, network, far string

	mu       sync.Mutex
	listener net.Listener
	pairs    map[net.Conn]bool
	wg       sync.WaitGroup
}

func newDoor(t *testing.T, address string) *door {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	d := &door{t: t, network: "tcp", far: u.Host, pairs: map[net.Conn]bool{}}
	if dir := query.Get("host"); dir != "" {
		d.network, d.far = "unix", filepath.Join(dir, ".s.PGSQL."+query.Get("port"))
	}
	dir := t.TempDir()
	d.path = filepath.Join(dir, ".s.PGSQL.5432")
	query.Set("host", dir)
	query.Set("port", "5432")
	u.Host, u.RawQuery = "", query.Encode()
	d.url = u.String()
	t.Cleanup(d.shut)
	return d
}

func (d *door) open() {
	d.t.Helper()
	listener, err := new(net.ListenConfig).Listen(d.t.Context(), "unix", d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.listener = listener
	d.mu.Unlock()
	d.wg.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(d.t.Context(), d.network, d.far)
			if err != nil {
				near.Close()
				return
			}
			d.mu.Lock()
			d.pairs[near], d.pairs[far] = true, true
			d.mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				d.wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					near.Close()
					far.Close()
				})
			}
		}
	})
}

func (d *door) shut() {
	d.mu.Lock()
	if d.listener != nil {
		d.listener.Close()
	}
	for conn := range maps.Clone(d.pairs) {
		conn.Close()
		delete(d.pairs, conn)
	}
	d.mu.Unlock()
	d.wg.Wait()
}
