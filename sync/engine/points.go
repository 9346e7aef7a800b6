package engine

// Point names a place on a record's way at which tests kill the process.
type Point string

// The points, in the order in which a run meets them.
const (
	PointLeased     Point = "leased"      // the lease is ours, nothing else happened
	PointHorizon    Point = "horizon"     // the horizon is fixed, not saved
	PointPageRead   Point = "page-read"   // a page came, nothing is planned
	PointOpened     Point = "opened"      // Copernica's schema was read
	PointPlanning   Point = "planning"    // the plan stands, the store does not know it
	PointPlanned    Point = "planned"     // the store knows the intent, nothing is sent
	PointSending    Point = "sending"     // a call is about to go out
	PointSent       Point = "sent"        // a call was answered, the answer is in memory only
	PointAnswered   Point = "answered"    // each write of a page has an outcome
	PointCommitted  Point = "committed"   // a page is committed
	PointLastPage   Point = "last-page"   // all pages are committed, the pass is not closed
	PointPassClosed Point = "pass-closed" // the pass is closed, the lease still held
)

// Points lists them all.
func Points() []Point {
	return []Point{
		PointLeased, PointHorizon, PointPageRead, PointOpened, PointPlanning, PointPlanned,
		PointSending, PointSent, PointAnswered, PointCommitted, PointLastPage, PointPassClosed,
	}
}
