package copernica

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/magento-copernica/syncd/internal/fault"
)

// Identity is the account behind the access token.
type Identity struct {
	ID                         int64
	Name, Description, Company string
}

// Identity asks who we are; it is the cheapest proof that the access token works.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	var answer struct {
		ID          phpInt
		Name        phpString
		Description phpString
		Company     phpString
	}
	if err := c.get(ctx, "GET /identity", "/identity", &answer); err != nil {
		return Identity{}, err
	}
	return Identity{
		ID:          int64(answer.ID),
		Name:        string(answer.Name),
		Description: string(answer.Description),
		Company:     string(answer.Company),
	}, nil
}

// DatabaseInfo names a database of the account.
type DatabaseInfo struct {
	ID   int64
	Name string
}

type rawDatabaseInfo struct {
	ID   phpInt
	Name phpString
}

func (r rawDatabaseInfo) id() int64 { return int64(r.ID) }

// Databases returns the databases of the account in Copernica's order, archived ones
// among them: what to offer when [Client.Database] finds none of a name. It costs one
// call for each thousand of them.
func (c *Client) Databases(ctx context.Context) ([]DatabaseInfo, error) {
	raws, err := list[rawDatabaseInfo](ctx, c, "GET /databases", "/databases")
	if err != nil {
		return nil, err
	}
	databases := make([]DatabaseInfo, len(raws))
	for i, r := range raws {
		databases[i] = DatabaseInfo{ID: int64(r.ID), Name: string(r.Name)}
	}
	return databases, nil
}

// Consumption is what the account used, of all programs together, since From.
type Consumption struct {
	From  time.Time // the first of this month, 00:00 in Amsterdam
	Calls int64     // API calls, which Copernica bills
	Mails int64     // e-mails sent
}

// Consumption asks what the account used this month, as GET /consumption of versions 2
// to 4 counts it (copernica-rest.md 4); the call itself counts. Version 1 has no such
// call, which is an error of class Configuration; nothing is sent then.
//
// Nothing says whether the end of the period belongs to it, so the first of the next
// month is asked for, as in Copernica's own example. Nor does anything tell what the
// account may use: no answer carries a quota.
func (c *Client) Consumption(ctx context.Context) (Consumption, error) {
	const route = "GET /consumption"
	if c.version.number == 1 {
		return Consumption{}, unsent{settingError("version 1 of the API does not tell what the account used: set SYNCD_COPERNICA_API_VERSION=4")}
	}
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		zone = time.UTC // an hour or two of the month's first day are at stake
	}
	now := c.now().In(zone)
	from := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, zone)
	var answer struct {
		APICalls *phpInt
		Emails   phpInt
	}
	path := fmt.Sprintf("/consumption?begin=%s&end=%s", from.Format(time.DateOnly), from.AddDate(0, 1, 0).Format(time.DateOnly))
	if err := c.get(ctx, route, path, &answer); err != nil {
		return Consumption{}, err
	}
	if answer.APICalls == nil {
		return Consumption{}, &Error{Status: http.StatusOK, Route: route, Message: "(an answer without a number of API calls)", Class: fault.Retry}
	}
	return Consumption{From: from, Calls: int64(*answer.APICalls), Mails: int64(answer.Emails)}, nil
}
