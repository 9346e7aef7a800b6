package magento_test

import (
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
	"github.com/magento-copernica/syncd/internal/httpx"
	"github.com/magento-copernica/syncd/magento"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

func chain(t *testing.T, cfg httpx.Config) *httpx.Transport {
	t.Helper()
	cfg.Peer, cfg.MinBackoff, cfg.MaxBackoff = "magento", time.Millisecond, 2*time.Millisecond
	transport, err := httpx.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// The client over a socket, through the daemon's own transport chain. The shop
// compresses, as nginx does for whoever accepts it.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	s := magentotest.New(magentotest.Config{Customers: 200, Seed: 1})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	c := client(t, chain(t, httpx.Config{}), func(cfg *magento.Config) {
		cfg.BaseURL, cfg.PageSize = server.URL+"/index.php/rest/V1", 30
		cfg.AccessToken, cfg.Username, cfg.Password = "", "admin", "emulator-1"
	})
	pages, err := walk(t.Context(), c, magento.Query{})
	if err != nil || len(ids(pages)) != 200 {
		t.Errorf("%d customers, %v", len(ids(pages)), err)
	}
	if n := s.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestShopUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	c := client(t, chain(t, httpx.Config{Retries: 1}), func(cfg *magento.Config) { cfg.BaseURL = "http://" + address })
	_, err = walk(t.Context(), c, magento.Query{})
	wantClass(t, err, fault.Retry)
	if _, ok := errors.AsType[*httpx.Error](err); !ok || !fault.NotSent(err) {
		t.Errorf("error %v: want the transport's own, known as not sent", err)
	}
	if strings.Contains(err.Error(), "searchCriteria") {
		t.Errorf("the error holds the query: %v", err)
	}
}
