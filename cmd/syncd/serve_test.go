package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/pgtest"
	"github.com/magento-copernica/syncd/internal/seal"
)

// served is a daemon as a process of its own.
type served struct {
	*stage
	process *exec.Cmd
	log     *watchedLog
	address string // where it answers
	ended   bool
}

// watchedLog is what a process writes, for a test to wait for.
type watchedLog struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // closed at each write
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

func (l *watchedLog) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.more
}

// serve starts a daemon with further settings and waits until it answers.
func (s *stage) serve(binary string, settings ...string) *served {
	s.t.Helper()
	d := s.serveSilently(binary, settings...)
	d.address = d.await(`listen="?(127\.0\.0\.1:\d+)`)[1]
	return d
}

// serveSilently starts a daemon, which may have to wait before it serves.
func (s *stage) serveSilently(binary string, settings ...string) *served {
	s.t.Helper()
	d := &served{stage: s, log: &watchedLog{more: make(chan struct{})}}
	d.process = exec.CommandContext(s.t.Context(), binary, "serve")
	d.process.Env = append(s.env(), append([]string{"SYNCD_LISTEN=127.0.0.1:0"}, settings...)...)
	for i, setting := range settings {
		if file, ok := strings.CutPrefix(setting, "--env-file="); ok {
			d.process.Args = append(d.process.Args, "--env-file", file)
			d.process.Env = append(s.env(), append([]string{"SYNCD_LISTEN=127.0.0.1:0"}, settings[i+1:]...)...)
		}
	}
	d.process.Stdout, d.process.Stderr = d.log, d.log
	s.must(d.process.Start())
	s.t.Cleanup(func() {
		if !d.ended {
			_ = d.process.Process.Kill()
			_ = d.process.Wait()
		}
		printed, _ := d.log.read()
		s.sweep(printed)
	})
	return d
}

// await waits until the daemon has printed what an expression describes.
func (d *served) await(expression string) []string {
	d.t.Helper()
	return d.awaitTimes(expression, 1)
}

func (d *served) awaitTimes(expression string, n int) []string {
	d.t.Helper()
	pattern := regexp.MustCompile(expression)
	deadline := time.After(100 * time.Second)
	for {
		text, more := d.log.read()
		if found := pattern.FindAllStringSubmatch(text, -1); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-more:
		case <-deadline:
			d.t.Fatalf("%q did not come %d times:\n%s", expression, n, text)
		}
	}
}

// times counts the lines that an expression finds.
func (d *served) times(expression string) int {
	text, _ := d.log.read()
	return len(regexp.MustCompile(expression).FindAllString(text, -1))
}

func (d *served) signal(s os.Signal) {
	d.t.Helper()
	d.must(d.process.Process.Signal(s))
}

// stop asks the daemon to end and expects it to do so cleanly within 10 s.
func (d *served) stop() {
	d.t.Helper()
	asked := time.Now()
	d.signal(syscall.SIGTERM)
	_ = d.process.Wait() // the exit code says it
	d.ended = true
	text, _ := d.log.read()
	if took := time.Since(asked); took > 10*time.Second {
		d.t.Errorf("it took %s to end", took)
	}
	if code := d.process.ProcessState.ExitCode(); code != exitDone {
		d.t.Errorf("exit code %d\n%s", code, text)
	}
}

// ask returns status and body of a page.
func (d *served) ask(page string) (int, string) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://"+d.address+page, nil)
	d.must(err)
	response, err := http.DefaultClient.Do(request)
	d.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	d.must(err)
	d.sweep(string(body))
	return response.StatusCode, string(body)
}

// readiness waits until /readyz answers with a status, and returns what it says.
func (d *served) readiness(status int) (answer struct {
	Problem string
	Streams []struct {
		Name        string
		Ready       bool
		LagSeconds  *int64 `json:"lag_seconds"`
		LateSeconds *int64 `json:"late_seconds"`
	}
},
) {
	d.t.Helper()
	d.poll(func() bool {
		got, body := d.ask("/readyz")
		if got == status {
			d.must(json.Unmarshal([]byte(body), &answer))
		}
		return got == status
	})
	return answer
}

// awaitMetric waits until /metrics has a line.
func (d *served) awaitMetric(line string) {
	d.t.Helper()
	d.poll(func() bool {
		_, body := d.ask("/metrics")
		return strings.Contains(body, line+"\n")
	})
}

// poll asks until the answer is as wanted.
func (d *served) poll(wanted func() bool) {
	d.t.Helper()
	d.pollFor(100*time.Second, wanted)
}

func (d *served) pollFor(limit time.Duration, wanted func() bool) {
	d.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(limit)
	for !wanted() {
		select {
		case <-again.C:
		case <-deadline:
			_, ready := d.ask("/readyz")
			_, metrics := d.ask("/metrics")
			text, _ := d.log.read()
			d.t.Fatalf("the daemon does not come to it:\n%s%s%s", ready, metrics, text)
		}
	}
}

// A daemon from its start to its end: in step at once, green, quiet, and gone when
// asked.
func TestServe(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.serve("syncd")
	if answer := d.readiness(http.StatusOK); len(answer.Streams) != 2 || answer.Streams[0].Name != "customers" || answer.Streams[1].Name != "orders" {
		t.Errorf("streams %+v", answer.Streams)
	}
	s.compare()
	if status, body := d.ask("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d %s", status, body)
	}
	_, metrics := d.ask("/metrics")
	for _, want := range []string{
		`syncd_runs_total{outcome="done",stream="customers"} 1`,
		`syncd_rows_written_total{action="created",stream="customers"} ` + strconv.Itoa(stageCustomers),
		`syncd_stream_ready{stream="orders"} 1`, `syncd_peer_breaker_state{peer="copernica",state="closed"} 1`,
		`syncd_state_up 1`, `syncd_lease_held 0`, `syncd_ledger_rows{entity="profile",state="acknowledged"} ` + strconv.Itoa(stageCustomers),
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("%s is missing in:\n%s", want, metrics)
		}
	}
	// Between runs the pipeline is free for others.
	s.pass(time.Second)
	s.ends(exitDone, s.run("run"))

	s.everybodyChanges()
	d.signal(syscall.SIGUSR1)
	d.awaitMetric(`syncd_rows_written_total{action="updated",stream="customers"} ` + strconv.Itoa(stageCustomers))
	d.readiness(http.StatusOK)
	s.compare()
	d.stop()
	if n := d.times(`level=(WARN|ERROR)`); n > 0 {
		text, _ := d.log.read()
		t.Errorf("%d complaints:\n%s", n, text)
	}
	s.inStep()
}

// A stop with writes in flight: clean within 10 s, whether Copernica answers or not,
// and the next run resumes without loss.
func TestServeSIGTERM(t *testing.T) {
	t.Parallel()
	for _, answered := range []bool{true, false} {
		t.Run(fmt.Sprintf("calls in flight are answered: %t", answered), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			met, leave := s.holdWrites()
			d := s.serve("syncd")
			<-met
			if answered {
				go func() {
					d.await(`msg="stopping`)
					leave()
				}()
			}
			d.stop()
			leave() // what hung takes effect after the process is gone
			if cp := s.checkpoint(); !cp.Horizon.IsZero() {
				t.Errorf("the horizon moved: %+v", cp)
			}
			s.pass(2 * time.Minute)
			s.inStep()
		})
	}
}

// A second daemon on the same state waits, says so once, and takes over when the first
// dies.
func TestPromise13_ASecondDaemonTakesOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	met, leave := s.holdWrites()
	first := s.serve("syncd-mortal")
	<-met
	second := s.serve("syncd-mortal")
	second.await(`msg="another process writes for this pipeline: waiting for it" holder=".*process ` + strconv.Itoa(first.process.Process.Pid))
	s.ends(exitFailed, s.run("run"), "process "+strconv.Itoa(first.process.Process.Pid))
	for range 3 {
		second.signal(syscall.SIGUSR1)
	}
	s.must(first.process.Process.Kill())
	_ = first.process.Wait() // it was killed
	first.ended = true
	leave()
	second.signal(syscall.SIGUSR1)
	second.await(`msg="stream brought up to date" stream=customers`)
	second.readiness(http.StatusOK)
	s.compare()
	if n := second.times("another process writes"); n != 1 {
		t.Errorf("the holder was named %d times", n)
	}
}

// SIGHUP takes over a secret that was renewed in its file, and the settings of the
// file of settings; what does not validate is refused and told.
func TestServeSIGHUP(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	delete(s.environ, "SYNCD_COPERNICA_ACCESS_TOKEN")
	dir := t.TempDir()
	token, settings := filepath.Join(dir, "token"), filepath.Join(dir, "env")
	write := func(name, text string) {
		t.Helper()
		s.must(os.WriteFile(name, []byte(text), 0o600))
	}
	write(token, "hunter2-has-expired\n")
	const common = "SYNCD_MAX_LAG=1m\n# the rest\nSYNCD_SCHEDULE_ORDERS='CRON_TZ=UTC 0 0 1 1 *'\n"
	write(settings, common)
	s.environ["SYNCD_COPERNICA_ACCESS_TOKEN_FILE"] = token
	d := s.serve("syncd", "--env-file="+settings)
	d.await(`level=WARN msg="the schedule leaves a stream staler`)
	d.await(`level=ERROR msg="stream failed, it is tried again when it is due" stream=customers class=credentials`)

	for n, bad := range []string{
		common + "SYNCD_SCHEDULE_CUSTOMERS=often\n",
		common + "SYNCD_SHOP=other\n",
		common + "SYNCD_LISTEN=off\n",
		common + "nonsense\n",
	} {
		write(settings, bad)
		d.signal(syscall.SIGHUP)
		d.awaitTimes(`level=ERROR msg="the settings were read again and are refused: the old ones stay"`, n+1)
	}
	write(settings, common+"SYNCD_LOG_LEVEL=debug\nSYNCD_SCHEDULE_CUSTOMERS=*/7 * * * *\n")
	write(token, stageToken+"\n")
	d.signal(syscall.SIGHUP)
	d.await(`level=INFO msg="the settings were read again" customers="\*/7 \* \* \* \*" orders="CRON_TZ=UTC 0 0 1 1 \*" log_level=debug`)
	d.await(`msg="stream works again" stream=customers`)
	d.readiness(http.StatusOK)
	s.compare()
	d.stop()
}

// /readyz is red while a stream is staler than promised on the shop's clock, says by
// how much, and is green again when it was caught up with.
func TestPromise24_ReadyzTurnsRedAndGreen(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.serve("syncd", "SYNCD_SCHEDULE_CUSTOMERS=@every 1s", "SYNCD_SCHEDULE_ORDERS=off", "SYNCD_MAX_LAG=1m")
	d.readiness(http.StatusOK)
	s.accountFront.show(page(http.StatusInternalServerError)) // nothing can be written
	s.everybodyChanges()
	d.await(`level=ERROR msg="stream failed`)
	answer := d.readiness(http.StatusServiceUnavailable)
	if len(answer.Streams) != 1 || answer.Streams[0].Ready || answer.Problem == "" {
		t.Fatalf("%+v", answer)
	}
	// The shop's clock was put forward by an hour and a minute; ours was not.
	lag, late := *answer.Streams[0].LagSeconds, *answer.Streams[0].LateSeconds
	if lag < 3600 || lag > 3600+600 || late != lag-60 {
		t.Errorf("the stream is %d s behind and %d s late", lag, late)
	}
	if status, _ := d.ask("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d: the process lives", status)
	}
	s.accountFront.show(nil)
	d.signal(syscall.SIGUSR1)
	d.readiness(http.StatusOK)
	d.await(`msg="stream works again"`)
	s.compare()
	d.stop()
	if n := d.times(`level=ERROR`); n != 1 {
		text, _ := d.log.read()
		t.Errorf("%d errors for one cause:\n%s", n, text)
	}
}

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

// The service manager is told when the daemon is ready, how it stands, that it lives
// and that it stops.
func TestServeTellsTheServiceManager(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	s.must(err)
	defer socket.Close()
	told := make(chan string, 1000)
	go func() {
		defer close(told)
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				return
			}
			told <- string(buffer[:n])
		}
	}()
	met, leave := s.holdWrites()
	d := s.serve("syncd", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=300000")
	await := func(expression string) {
		t.Helper()
		pattern := regexp.MustCompile(expression)
		deadline := time.After(100 * time.Second)
		for {
			select {
			case got := <-told:
				if pattern.MatchString(got) {
					return
				}
			case <-deadline:
				t.Fatalf("%s was not told", expression)
			}
		}
	}
	await(`^READY=1\nSTATUS=`)
	<-met
	await(`^WATCHDOG=1$`) // in a run that waits for an answer
	leave()
	await(`^STATUS=customers in step until 20.* UTC`)
	await(`^WATCHDOG=1$`) // between runs
	d.signal(syscall.SIGTERM)
	await(`^STOPPING=1`)
	_ = d.process.Wait() // the exit code says it
	d.ended = true
	if code := d.process.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
