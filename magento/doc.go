// Package magento reads a Magento 2 shop over its REST API.
//
// # What it guarantees
//
// Lists are walked by keyset, never by page number: [Client.Customers] and
// [Client.Orders] yield every record with updated_at in the asked interval exactly
// once, ordered by (updated_at, entity_id), however many records share one second and
// whatever changes while paging (promises 1 and 2). Each page is checked before it is
// yielded: a shop that ignores a filter, changes the order or promises more rows than
// it sends is an error, not a gap.
//
// A record that cannot be read does not spoil its page: it comes as an [Item] with
// an Err of type [*RecordError]. Everything else that fails is an [*Error] with a
// class of package fault, and says what the operator can do (promise 20).
//
// # Getting in
//
// A client authenticates in exactly one way ([Client.Access]): an admin user's password,
// with or without codes of two factors, a pasted token, or signatures of OAuth 1.0a.
// Signatures and codes are fresh for each attempt and dated by the shop's own clock. What
// a shop refuses says which permission, setting or secret it can be about; no error or
// log holds a secret, also when a shop prints our request back (docs/shops.md).
//
// # Manners
//
// The client speaks <base>/rest/all/V1, where newsletter consent is right for every
// website. It asks for the wanted fields only, halves its pages when the shop is
// slow or breaks, and takes the shop's own maximum page size (promise 6). Each walk
// keeps the shop's session cookie, because Magento leaves a session row behind for
// every list call without one. Redirects are not followed.
//
// Retries, time-outs and limits belong to the transport; the client repeats a call
// by itself only once, after renewing a refused token, code or signature.
//
// # Source
//
// Facts about the API were observed on Magento Open Source 2.4.7-p3 unless a
// comment says otherwise.
package magento
