package magento

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
)

// Stores is the shop's structure. Each list is ordered by id and holds the admin
// entry with id 0.
type Stores struct {
	Websites []Website
	Groups   []StoreGroup
	Views    []StoreView
}

// Website is a website of the shop.
type Website struct {
	ID             int64
	Code, Name     string
	DefaultGroupID int64
}

// StoreGroup is what the shop's back end calls a store.
type StoreGroup struct {
	ID, WebsiteID  int64
	Code, Name     string
	DefaultStoreID int64
}

// StoreView is a view of a store group; customers and orders carry its id as store_id.
type StoreView struct {
	ID, WebsiteID, GroupID int64
	Code, Name             string
	Active                 bool
}

// Names returns the names of a store view and of the group and website it belongs
// to; ok says whether all three are known.
func (s Stores) Names(view int64) (website, group, name string, ok bool) {
	for _, v := range s.Views {
		if v.ID != view {
			continue
		}
		name = v.Name
		var haveGroup, haveWebsite bool
		for _, g := range s.Groups {
			if g.ID == v.GroupID {
				group, haveGroup = g.Name, true
			}
		}
		for _, w := range s.Websites {
			if w.ID == v.WebsiteID {
				website, haveWebsite = w.Name, true
			}
		}
		return website, group, name, haveGroup && haveWebsite
	}
	return "", "", "", false
}

// Stores reads the shop's structure in three calls.
func (c *Client) Stores(ctx context.Context) (Stores, error) {
	var websites []struct {
		ID             integer `json:"id"`
		Code           text    `json:"code"`
		Name           text    `json:"name"`
		DefaultGroupID integer `json:"default_group_id"`
	}
	var groups []struct {
		ID             integer `json:"id"`
		WebsiteID      integer `json:"website_id"`
		Code           text    `json:"code"`
		Name           text    `json:"name"`
		DefaultStoreID integer `json:"default_store_id"`
	}
	var views []struct {
		ID        integer `json:"id"`
		WebsiteID integer `json:"website_id"`
		GroupID   integer `json:"store_group_id"`
		Code      text    `json:"code"`
		Name      text    `json:"name"`
		Active    boolean `json:"is_active"`
	}
	for _, one := range []struct {
		route  string
		target any
	}{{"store/websites", &websites}, {"store/storeGroups", &groups}, {"store/storeViews", &views}} {
		if err := c.read(ctx, one.route, "/"+one.route, "", decodeInto(one.target)); err != nil {
			return Stores{}, err
		}
	}
	var s Stores
	for _, w := range websites {
		s.Websites = append(s.Websites, Website{ID: int64(w.ID), Code: string(w.Code), Name: string(w.Name), DefaultGroupID: int64(w.DefaultGroupID)})
	}
	for _, g := range groups {
		s.Groups = append(s.Groups, StoreGroup{ID: int64(g.ID), WebsiteID: int64(g.WebsiteID), Code: string(g.Code), Name: string(g.Name), DefaultStoreID: int64(g.DefaultStoreID)})
	}
	for _, v := range views {
		s.Views = append(s.Views, StoreView{ID: int64(v.ID), WebsiteID: int64(v.WebsiteID), GroupID: int64(v.GroupID), Code: string(v.Code), Name: string(v.Name), Active: bool(v.Active)})
	}
	slices.SortFunc(s.Websites, func(a, b Website) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Groups, func(a, b StoreGroup) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Views, func(a, b StoreView) int { return cmp.Compare(a.ID, b.ID) })
	return s, nil
}

// groupPageSize is small because shops have a handful of customer groups.
const groupPageSize = 100

// Groups returns the codes of the customer groups by id. Their pages are numbered:
// the list has no keyset, and it ends with a short page or, up to Magento 2.3.7, with
// one that repeats ids.
func (c *Client) Groups(ctx context.Context) (map[int64]string, error) {
	codes := map[int64]string{}
	size := groupPageSize
	for page := 1; ; page++ {
		var answer struct {
			Items []struct {
				ID   integer `json:"id"`
				Code text    `json:"code"`
			} `json:"items"`
		}
		q := criteria{size: size, page: page, fields: "items[id,code],total_count"}
		err := c.read(ctx, "customerGroups/search", "/customerGroups/search", q.encode(), decodeInto(&answer))
		if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusBadRequest && e.maximum() > 0 && e.maximum() < size {
			size, page = e.maximum(), 0
			continue
		}
		if err != nil {
			return nil, err
		}
		repeated := false
		for _, g := range answer.Items {
			if _, known := codes[int64(g.ID)]; known && page > 1 {
				repeated = true
			}
			codes[int64(g.ID)] = string(g.Code)
		}
		if len(answer.Items) < size || repeated {
			return codes, nil
		}
	}
}
