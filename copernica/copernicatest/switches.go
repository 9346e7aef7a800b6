package copernicatest

import "time"

// LongText says what becomes of a text beyond its field's length.
type LongText uint8

// What becomes of a long text.
const (
	LongTextCut    LongText = iota // cut to the length, in characters
	LongTextKept                   // stored whole
	LongTextRefuse                 // the write fails with 400
)

// UnknownFilter says what a write does whose filter names a field that the
// database does not have.
type UnknownFilter uint8

// What an unknown name in a write's filter does.
const (
	// UnknownFilterRefused answers 400 as soon as one name is unknown. A release note
	// of 2021-08-26 announces that.
	UnknownFilterRefused UnknownFilter = iota
	// UnknownFilterIgnored drops the condition, as seen live in version 2: a write
	// whose every name is unknown then updates every profile (behaviour 30).
	UnknownFilterIgnored
)

// Consent says what the user does on the consent page.
type Consent uint8

// What the user does. How Copernica tells of a refusal is undocumented.
const (
	ConsentGiven   Consent = iota // access is given: a code comes back
	ConsentRefused                // an error comes back, as RFC 6749 has it
	ConsentSilent                 // the state comes back and nothing else
	ConsentForged                 // a good code comes back with a state that nobody gave
)

// Switches decides what Copernica does where nobody knows, or where documentation
// and observation differ. Every zero value is the likeliest answer.
type Switches struct {
	// TokenKey wraps the authorization token in a JSON object under this key. Empty:
	// the bare token as text/plain. The documentation only says "contains a JWT string".
	TokenKey string
	// TokenQuoted sends the bare token in double quotes, as a JSON string.
	TokenQuoted bool
	// TokenByGET also accepts GET /?access_token=, which one old page shows.
	TokenByGET bool
	// TokenLifetime is that of an authorization token; zero: the documented 24 hours.
	TokenLifetime time.Duration
	// TokensOutliveRevocation lets authorization tokens live out their time when their
	// access token is revoked. Default: they die at once.
	TokensOutliveRevocation bool
	// AccessTokenAsBearer accepts the API access token itself as Bearer, which one
	// public client relies on and the documentation denies.
	AccessTokenAsBearer bool
	// AuthFailure is the status of an API call with a bad or no token, 401 or 403;
	// zero: 400, as seen in versions 1 to 3.
	AuthFailure int
	// AuthHostFailure is the authentication host's status for a bad access token; zero: 400.
	AuthHostFailure int

	// OnlyVersion4 refuses the access tokens in the query of versions 1 to 3, as those
	// that were made for version 4 alone.
	OnlyVersion4 bool
	// ErrorStatus is the status of every refusal that is a 400 otherwise: 200, which is
	// thought possible (behaviour 11). Zero: 400.
	ErrorStatus int

	// Consent is what the user does on the consent page.
	Consent Consent
	// StateLength is the shortest `state` that the consent page accepts; zero: 32, the
	// length of the MD5 sum that the documentation suggests.
	StateLength int

	// UnknownFilter decides behaviour 30 for PUT on many profiles.
	UnknownFilter UnknownFilter
	// UnknownFieldRefused answers 400 to a PUT on many profiles whose body names a field
	// that does not exist; by default it is ignored (behaviour 27).
	UnknownFieldRefused bool
	// KeepOuterBlanks leaves blanks around a filter expression where they are; by
	// default the whole expression is trimmed, as seen in version 2.
	KeepOuterBlanks bool
	// AccentsEqual compares é and e as equal, TrailingBlanksEqual "a " and "a": usual
	// collations of MySQL do. Default: only case is ignored (behaviour 35).
	AccentsEqual, TrailingBlanksEqual bool
	// LongText is unknown for the live API (behaviour 26).
	LongText LongText
	// RefusedDomains are e-mail domains whose profiles cannot be created: 400 "Failed to
	// create profile" (behaviour 13, seen once, for 126.com).
	RefusedDomains []string

	// PutStatus is the status of a successful PUT: 200 as the documentation of versions 1
	// and 2 says, or 303 with Location as they really answered (behaviours 1, 2). Zero: 303
	// in versions 1 and 2; in 3 and 4 it is 204, and 201 when something was created.
	PutStatus int
	// LocationNamesRow makes the Location of a 303, or the X-location of another status, of
	// a PUT in versions 1 and 2 name the row that was written, new or old, as their
	// documentation says. Default: the request's own address, and no X-location for a row
	// that was there before.
	LocationNamesRow bool
	// SubprofileUpsertWithoutID leaves X-Created out when an upsert creates a subprofile
	// (behaviour 5, seen in version 2), in versions 3 and 4 as well.
	SubprofileUpsertWithoutID bool
	// SubprofileUpsertRepaired gives X-Created there in versions 1 and 2, where it was
	// missing when others looked.
	SubprofileUpsertRepaired bool
	// Version1Upserts makes version 1 take the calls to subprofiles that only the documents
	// of version 2 have: PUT of many, PUT and DELETE of one. Default: "Invalid method".
	Version1Upserts bool
	// Version1CreateRedirects answers a POST that makes a profile or subprofile in version 1
	// with 302 and the row's address, and without X-Created, as its documentation of 2014
	// says. Default: 201.
	Version1CreateRedirects bool
	// DeleteMissingSucceeds answers 204 to a DELETE of what is not there, or there no
	// longer, as the documentation of version 2 says. Default: 400, as seen.
	DeleteMissingSucceeds bool
	// CompletelyIgnored makes a complete removal of a profile one like any other, as it is
	// when something on the way strips the body of a DELETE. Default: what was removed
	// completely is not there any more, as if it had never been.
	CompletelyIgnored bool
	// UpsertRace is the time between an upsert's look and its creation. When set, two
	// concurrent upserts of one new key both create. Default: a call is one instant.
	UpsertRace time.Duration
	// ListsForbidden refuses the lists of unsubscribes with this status, as to a token or a
	// licence without a right to them. Zero: they are given.
	ListsForbidden int
	// DestinationsForbidden refuses the destinations of the Marketing Suite with this status,
	// as to a token that may read its list of unsubscribes and not whom a mailing went to.
	// Zero: they are given.
	DestinationsForbidden int
	// NoPublisher answers "Invalid method" where the list of Publisher is, as an account
	// without that program might. Default: the list is there, if only empty.
	NoPublisher bool
	// SuiteNamesProfiles has the Marketing Suite's list name profiles in versions 3 and 4,
	// as the documentation of version 2 has it. Default: destinations alone.
	SuiteNamesProfiles bool
	// UnsubscribesNewestFirst turns the lists of unsubscribes round. Default: by id.
	UnsubscribesNewestFirst bool
	// PeriodIgnored gives whole lists of unsubscribes, whatever period is asked for.
	PeriodIgnored bool
	// UnsubscribedByAPIListed puts who was unsubscribed by PUT, and so by no mailing, on
	// Publisher's list. Default: on none, since the lists are statistics of mailings.
	UnsubscribedByAPIListed bool
	// NextID adds `nextid` to lists of profiles, which only the Dutch pages mention.
	NextID bool
	// NewFieldKeepsModified leaves `modified` of all profiles alone when a field is
	// added; a help page of another vendor says it moves.
	NewFieldKeepsModified bool
	// SameNames allows two databases, or two collections of a database, of one name.
	SameNames bool
	// FiltersOnIDsIgnored makes profileids and subprofileids list everything whatever
	// their fields[]. Default: filters apply.
	FiltersOnIDsIgnored bool
}
