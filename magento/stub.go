package magento

import (
	"context"
	"iter"
	"time"
)

const maxItem = 1 << 20

type auth struct{}
type pager struct{}
type session struct{}
type sessionStack struct{}

func newAuth(Config) *auth                    { return nil }
func newPager(int, int, time.Duration) *pager { return nil }
func (c *Client) newSession() *session        { return nil }
func normalise(s string) (string, error)      { return s, nil }

// Customers walks the customers that q selects, oldest change first.
func (c *Client) Customers(ctx context.Context, q Query) iter.Seq2[*Page[Customer], error] {
	return nil
}

// Customer reads one customer.
func (c *Client) Customer(ctx context.Context, id int64, fields []string) (Customer, error) {
	return Customer{}, nil
}

// Emails walks ids and e-mails.
func (c *Client) Emails(ctx context.Context, q EmailQuery) iter.Seq2[*Page[CustomerEmail], error] {
	return nil
}

// CustomerCount counts the customers of a website, or of all with website 0.
func (c *Client) CustomerCount(ctx context.Context, website int64) (int64, error) { return 0, nil }

// Stores reads websites, store groups and store views.
func (c *Client) Stores(ctx context.Context) (Stores, error) { return Stores{}, nil }

// Groups returns the customer groups' codes by id.
func (c *Client) Groups(ctx context.Context) (map[int64]string, error) { return nil, nil }

// Clock returns the shop's clock, UTC, whole seconds.
func (c *Client) Clock(ctx context.Context) (time.Time, error) { return time.Time{}, nil }
