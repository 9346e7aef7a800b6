package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
