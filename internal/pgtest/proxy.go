package pgtest

import (
	"context"
	wire "encoding/binary"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Cut says what becomes of a COMMIT, and of the connection that it came by.
type Cut int

// The cuts.
const (
	Through Cut = iota // nothing happens to it
	Before             // the connection breaks, and the server never hears of it
	After              // the server does it, the connection breaks, and the answer is lost
)

// Proxy stands between a client and a server on a loopback address, and cuts connections
// at COMMITs. It is safe for concurrent use.
type Proxy struct {
	URL string // of the database, by way of the proxy

	mu     sync.Mutex
	decide func() Cut
	cuts   int
	away   bool // connections are refused
	open   map[net.Conn]bool
}

// NewProxy stands before the server of a database's address until the test ends.
func NewProxy(tb testing.TB, address string) *Proxy {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	network, target := "tcp", u.Host
	if dir := u.Query().Get("host"); dir != "" {
		network, target = "unix", filepath.Join(dir, ".s.PGSQL."+u.Query().Get("port"))
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	u.Host, u.RawQuery = l.Addr().String(), "sslmode=disable"
	p := &Proxy{URL: u.String(), decide: func() Cut { return Through }, open: map[net.Conn]bool{}}
	dial := context.WithoutCancel(tb.Context())
	var all sync.WaitGroup
	tb.Cleanup(all.Wait)
	tb.Cleanup(func() { _ = l.Close() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(dial, network, target)
			if err != nil {
				_ = client.Close()
				continue
			}
			if !p.admit(client) {
				_, _ = client.Close(), server.Close()
				continue
			}
			all.Go(func() {
				_, _ = io.Copy(client, server)
				_, _ = client.Close(), server.Close()
			})
			all.Go(func() {
				p.forward(client, server)
				_, _ = client.Close(), server.Close()
				p.forget(client)
			})
		}
	})
	return p
}

// AtCommits has decide say what becomes of each COMMIT from now on. It is called by one
// connection at a time.
func (p *Proxy) AtCommits(decide func() Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

// CutNext cuts the next COMMIT.
func (p *Proxy) CutNext(how Cut) {
	p.AtCommits(func() Cut {
		cut := how
		how = Through
		return cut
	})
}

// Cuts returns how many COMMITs were cut so far.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Refuse makes the proxy take no other connection, or take them again. Those that are
// open go on.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = refuse
}

// Leave cuts every connection and takes no other one, until [Proxy.Refuse] says so.
func (p *Proxy) Leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	for client := range p.open {
		_ = client.Close()
	}
}

// admit remembers a connection, unless the server is to seem away.
func (p *Proxy) admit(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.away {
		p.open[client] = true
	}
	return !p.away
}

func (p *Proxy) forget(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, client)
}

func (p *Proxy) commit() Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := p.decide()
	if cut != Through {
		p.cuts++
	}
	return cut
}

// forward passes a client's messages on: a first one without a type, then type, length,
// body each.
func (p *Proxy) forward(client io.ReadCloser, server io.ReadWriter) {
	head := make([]byte, 5)
	for first := true; ; first = false {
		h := head
		if first {
			h = head[1:]
		}
		if _, err := io.ReadFull(client, h); err != nil {
			return
		}
		body := make([]byte, wire.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		cut := Through
		if !first && head[0] == 'Q' && strings.EqualFold(strings.TrimRight(string(body), "\x00"), "commit") {
			cut = p.commit()
		}
		switch cut {
		case Before:
			return
		case After:
			_ = client.Close() // whatever the server answers is lost
		case Through:
		}
		if _, err := server.Write(slices.Concat(h, body)); err != nil {
			return
		}
		if cut == After {
			_, _ = server.Write([]byte{'X', 0, 0, 0, 4}) // the server ends the connection when it is done
			_, _ = io.Copy(io.Discard, server)
			return
		}
	}
}
