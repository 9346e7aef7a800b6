package magento

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
