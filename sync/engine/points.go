package engine

import "github.com/magento-copernica/syncd/state"

// Point names a place on a record's way at which tests kill the process.
type Point string

// The points, in the order in which a run meets them.
const (
	PointLeased       Point = "leased"        // the lease is ours, nothing else happened
	PointHorizon      Point = "horizon"       // the horizon is fixed, not saved
	PointScanned      Point = "scanned"       // a page of the e-mail scan is committed
	PointPageRead     Point = "page-read"     // a page came, nothing is planned
	PointLoaded       Point = "loaded"        // the ledger told what it knows of a page of orders
	PointOpened       Point = "opened"        // Copernica's schema was read
	PointOpenedBelow  Point = "opened-below"  // its collections fit the mapping
	PointAlive        Point = "alive"         // the profiles below which orders come were looked at
	PointBrought      Point = "brought"       // customers that orders lack were read
	PointOwned        Point = "owned"         // each order of a page has its profile
	PointCounted      Point = "counted"       // the census was taken
	PointPlanning     Point = "planning"      // the plan stands, the store does not know it
	PointPlanned      Point = "planned"       // the store knows the intent, nothing is sent
	PointSending      Point = "sending"       // a profile's call is about to go out
	PointSendingOrder Point = "sending-order" // an order's
	PointSendingItem  Point = "sending-item"  // a line's
	PointLooking      Point = "looking"       // a row is about to be looked up
	PointLooked       Point = "looked"        // it was
	PointRemoving     Point = "removing"      // a row whose line is gone is about to be removed
	PointSent         Point = "sent"          // a profile's call was answered, the answer is in memory only
	PointSentOrder    Point = "sent-order"    // an order's
	PointSentItem     Point = "sent-item"     // a line's
	PointAnswered     Point = "answered"      // each write of a page has an outcome
	PointConfirmed    Point = "confirmed"     // the schema was looked at after the writes
	PointCommitting   Point = "committing"    // the page's transaction is about to begin
	PointCommitted    Point = "committed"     // a page is committed
	PointLastPage     Point = "last-page"     // all pages are committed, the pass is not closed
	PointClosing      Point = "closing"       // the pass is about to be closed
	PointResumed      Point = "resumed"       // rows without an outcome were read again
	PointClaiming     Point = "claiming"      // a guest's rows are about to be moved to the customer who they are
	PointGathered     Point = "gathered"      // they stand there, the guest's profile does as well
	PointClaimed      Point = "claimed"       // the guest's profile is removed, the store does not know it
	PointErasing      Point = "erasing"       // somebody is about to be erased
	PointEntombed     Point = "entombed"      // their tombstone stands outside the state, nothing else is done
	PointErased       Point = "erased"        // Copernica has nothing of them, the store does not know it
	PointPassClosed   Point = "pass-closed"   // the pass is closed, the lease still held
	PointSuspecting   Point = "suspecting"    // the shop is about to be asked about rows that its list left out
	PointReturning    Point = "returning"     // the shop is about to hear of an opt-out
	PointReturned     Point = "returned"      // it has, the store does not know it
	PointHeeded       Point = "heeded"        // each list of documents has its place, before the pass
	PointTold         Point = "told"          // orders that documents name were read
)

// Points lists them all.
func Points() []Point {
	return []Point{
		PointLeased, PointHorizon, PointScanned, PointPageRead, PointLoaded, PointOpened, PointOpenedBelow, PointAlive,
		PointBrought, PointOwned, PointCounted, PointPlanning, PointPlanned, PointSending, PointSendingOrder,
		PointSendingItem, PointLooking, PointLooked, PointRemoving, PointSent, PointSentOrder, PointSentItem,
		PointAnswered, PointConfirmed, PointCommitting, PointCommitted, PointLastPage, PointClosing, PointResumed, PointClaiming, PointGathered, PointClaimed,
		PointErasing, PointEntombed, PointErased, PointSuspecting, PointReturning, PointReturned, PointPassClosed, PointHeeded, PointTold,
	}
}

func sending(e state.Entity) Point {
	switch e {
	case state.Order:
		return PointSendingOrder
	case state.Item:
		return PointSendingItem
	default:
		return PointSending
	}
}

func sent(e state.Entity) Point {
	switch e {
	case state.Order:
		return PointSentOrder
	case state.Item:
		return PointSentItem
	default:
		return PointSent
	}
}
