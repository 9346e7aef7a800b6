package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// proxy stands between a store and the server, and cuts a connection at a COMMIT.
type proxy struct {
	url string

	mu   sync.Mutex
	cut  int // further COMMITs to spoil
	when cutAt
	cuts int
	away bool // connections are refused
	open map[net.Conn]bool
}

// cutAt says where a connection breaks.
type cutAt int

const (
	beforeCommit cutAt = iota // the server never hears of it
	afterCommit               // the server does it, and its answer is lost
)

// newProxy stands before the server of a database's address.
func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	network, target := "tcp", u.Host
	if dir := u.Query().Get("host"); dir != "" {
		network, target = "unix", filepath.Join(dir, ".s.PGSQL."+u.Query().Get("port"))
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("host", filepath.Dir(l.Addr().String()))
	query.Set("port", "5432")
	u.Host, u.RawQuery = "", query.Encode()
	p := &proxy{url: u.String(), open: make(map[net.Conn]bool)}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, target)
			if err != nil {
				client.Close()
				continue
			}
			if !p.admit(client) {
				client.Close()
				server.Close()
				continue
			}
			wg.Go(func() {
				_, _ = io.Copy(client, server)
				client.Close()
				server.Close()
			})
			wg.Go(func() { p.forward(client, server); client.Close(); server.Close() })
		}
	})
	return p
}

// spoil cuts the connections of the next n COMMITs.
func (p *proxy) spoil(n int, when cutAt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.when = n, when
}

func (p *proxy) spoilt() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// admit remembers a connection, unless the server is to seem away.
func (p *proxy) admit(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[client] = !p.away
	return !p.away
}

// leave cuts every connection and takes no other one.
func (p *proxy) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	for client := range p.open {
		client.Close()
	}
}

// leaveAt makes leave happen at the next COMMIT.
func (p *proxy) leaveAt(when cutAt) {
	p.spoil(1, when)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
}

// comeBack takes connections again.
func (p *proxy) comeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = false
}

// forward passes messages on: a first one without a type, then type, length, body.
func (p *proxy) forward(client, server net.Conn) {
	head := make([]byte, 5)
	for first := true; ; first = false {
		h := head
		if first {
			h = head[1:]
		}
		if _, err := io.ReadFull(client, h); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		spoil, when := false, beforeCommit
		if !first && head[0] == 'Q' && strings.EqualFold(strings.TrimRight(string(body), "\x00"), "commit") {
			p.mu.Lock()
			if p.cut > 0 {
				p.cut--
				p.cuts++
				spoil, when = true, p.when
			}
			p.mu.Unlock()
		}
		if spoil && when == beforeCommit {
			return
		}
		if spoil {
			client.Close() // whatever the server answers is lost
		}
		if _, err := server.Write(append(append([]byte{}, h...), body...)); err != nil {
			return
		}
		if spoil {
			// The server ends the connection by itself once it is told to.
			_, _ = server.Write([]byte{'X', 0, 0, 0, 4})
			_, _ = io.Copy(io.Discard, server)
			return
		}
	}
}
