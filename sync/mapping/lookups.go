package mapping

import (
	"strings"
	"sync"

	"github.com/magento-copernica/syncd/magento"
)

// Lookups are the names behind the ids that a customer or an order carries, as they
// were when they were read. They are safe for concurrent use.
type Lookups struct {
	groups   map[int64]string
	views    map[int64]string
	websites map[int64]int64 // by store view; 0, the admin's, of one that is gone
	last     int64           // the highest id of a website

	mu   sync.Mutex
	gone map[lookup]bool // what has no name and will not get one
}

// lookup is an id and what it is of.
type lookup struct {
	kind string
	id   int64
}

const (
	groupID = "group"
	viewID  = "store view"
)

// NewLookups joins the shop's stores ("Website > Store > Store view") and the
// codes of its customer groups.
func NewLookups(stores magento.Stores, groups map[int64]string) *Lookups {
	l := &Lookups{groups: groups, views: map[int64]string{}, websites: map[int64]int64{}, gone: map[lookup]bool{}}
	for _, v := range stores.Views {
		l.websites[v.ID] = v.WebsiteID
		if website, group, view, ok := stores.Names(v.ID); ok {
			l.views[v.ID] = strings.Join([]string{website, group, view}, nameSeparator)
		}
	}
	for _, w := range stores.Websites {
		l.last = max(l.last, w.ID)
	}
	return l
}

// LastWebsite is the highest id of the shop's websites: it hands them out one after the
// other, and uses none again.
func (l *Lookups) LastWebsite() int64 { return l.last }

const nameSeparator = " > "

// Knows reports whether every id that c carries has a name or is known to have none;
// if not, the shop may have got a new store or group since the lookups were read.
func (l *Lookups) Knows(c *magento.Customer) bool {
	return l.knowsGroup(c.GroupID) && l.knowsView(c.StoreID)
}

// KnowsOrder is [Lookups.Knows] for an order: its store view, and the customer group
// of a guest's. An order whose store view was deleted tells so itself.
func (l *Lookups) KnowsOrder(o *magento.Order) bool {
	return (o.StoreID == 0 || l.knowsView(o.StoreID)) && (!o.Guest || l.knowsGroup(o.CustomerGroupID))
}

// Accept takes the ids of c that have no name for deleted, which is right when the
// lookups were read after c. From now on they are known, and their name is empty.
func (l *Lookups) Accept(c *magento.Customer) {
	l.accept(l.knowsGroup(c.GroupID), lookup{groupID, c.GroupID})
	l.accept(l.knowsView(c.StoreID), lookup{viewID, c.StoreID})
}

// AcceptOrder is [Lookups.Accept] for what [Lookups.KnowsOrder] asks about.
func (l *Lookups) AcceptOrder(o *magento.Order) {
	l.accept(o.StoreID == 0 || l.knowsView(o.StoreID), lookup{viewID, o.StoreID})
	l.accept(!o.Guest || l.knowsGroup(o.CustomerGroupID), lookup{groupID, o.CustomerGroupID})
}

func (l *Lookups) knowsGroup(id int64) bool {
	_, ok := l.groups[id]
	return ok || l.isGone(lookup{groupID, id})
}

func (l *Lookups) knowsView(id int64) bool {
	_, ok := l.views[id]
	return ok || l.isGone(lookup{viewID, id})
}

func (l *Lookups) isGone(id lookup) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone[id]
}

func (l *Lookups) accept(known bool, id lookup) {
	if known {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone[id] = true
}

// viewOf names the store view of an order: as it is called now, or as it was called
// when it is gone. Store view 0 is the admin's, where nobody orders; Magento prints no
// store_id for a view that was deleted.
func (l *Lookups) viewOf(o *magento.Order) string {
	if name, ok := l.views[o.StoreID]; ok && o.StoreID != 0 {
		return name
	}
	return strings.ReplaceAll(o.StoreName, "\n", nameSeparator)
}
