package magento

import (
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

// wireCustomer is a customer as printed. The decoder of a page reuses one.
type wireCustomer struct {
	ID           integer    `json:"id"`
	WebsiteID    integer    `json:"website_id"`
	StoreID      integer    `json:"store_id"`
	GroupID      integer    `json:"group_id"`
	Email        text       `json:"email"`
	FirstName    text       `json:"firstname"`
	MiddleName   text       `json:"middlename"`
	LastName     text       `json:"lastname"`
	Prefix       text       `json:"prefix"`
	Suffix       text       `json:"suffix"`
	Gender       text       `json:"gender"`
	BirthDate    text       `json:"dob"`
	TaxVAT       text       `json:"taxvat"`
	CreatedIn    text       `json:"created_in"`
	Confirmation text       `json:"confirmation"`
	CreatedAt    moment     `json:"created_at"`
	UpdatedAt    moment     `json:"updated_at"`
	Extension    extension  `json:"extension_attributes"`
	Attributes   attributes `json:"custom_attributes"`
}

// extension holds the extension attributes that are read; PHP prints [] for none.
type extension struct {
	Subscribed *boolean `json:"is_subscribed"`
}

func (e *extension) UnmarshalJSON(b []byte) error {
	*e = extension{}
	if b[0] != '{' {
		if b[0] == '[' || string(b) == "null" {
			return nil
		}
		return errKind
	}
	type fields extension
	return json.Unmarshal(b, (*fields)(e))
}

func (w *wireCustomer) customer() Customer {
	return Customer{
		ID:           int64(w.ID),
		WebsiteID:    int64(w.WebsiteID),
		StoreID:      int64(w.StoreID),
		GroupID:      int64(w.GroupID),
		Email:        string(w.Email),
		FirstName:    string(w.FirstName),
		MiddleName:   string(w.MiddleName),
		LastName:     string(w.LastName),
		Prefix:       string(w.Prefix),
		Suffix:       string(w.Suffix),
		Gender:       string(w.Gender),
		BirthDate:    string(w.BirthDate),
		TaxVAT:       string(w.TaxVAT),
		CreatedIn:    string(w.CreatedIn),
		Confirmation: string(w.Confirmation),
		CreatedAt:    time.Time(w.CreatedAt),
		UpdatedAt:    time.Time(w.UpdatedAt),
		Subscribed:   w.Extension.Subscribed != nil && bool(*w.Extension.Subscribed),
		Attributes:   w.Attributes,
	}
}

// decodeItem decodes one record's JSON of the given true size into wire, and
// returns a RecordError with the record's place when it cannot be read.
func decodeItem(raw []byte, size int64, wire any) *RecordError {
	cause := ""
	switch {
	case size > maxItem:
		cause = CauseTooLarge
	case !utf8.Valid(raw):
		cause = CauseInvalidUTF8
	default:
		err := json.Unmarshal(raw, wire)
		if err == nil {
			return nil
		}
		e := &RecordError{Cause: CauseMalformed, Size: size}
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			e.Field = kind.Field
		}
		return e
	}
	return &RecordError{Cause: cause, Size: size}
}

// decodeCustomer notes in silent of whom the shop does not tell consent.
func decodeCustomer(silent *untold) func(raw []byte, size int64) Item[Customer] {
	var wire wireCustomer
	return func(raw []byte, size int64) Item[Customer] {
		wire = wireCustomer{}
		if e := decodeItem(raw, size, &wire); e != nil {
			return unread[Customer](raw, e, "id")
		}
		c := wire.customer()
		silent.note(c.ID, wire.Extension.Subscribed != nil)
		return Item[Customer]{ID: c.ID, UpdatedAt: c.UpdatedAt, Value: c}
	}
}

func decodeEmail() func(raw []byte, size int64) Item[CustomerEmail] {
	return func(raw []byte, size int64) Item[CustomerEmail] {
		var wire struct {
			ID        integer `json:"id"`
			WebsiteID integer `json:"website_id"`
			Email     text    `json:"email"`
			Pending   text    `json:"confirmation"`
		}
		if e := decodeItem(raw, size, &wire); e != nil {
			return unread[CustomerEmail](raw, e, "id")
		}
		c := CustomerEmail{ID: int64(wire.ID), WebsiteID: int64(wire.WebsiteID), Email: string(wire.Email), Confirmed: wire.Pending == ""}
		return Item[CustomerEmail]{ID: c.ID, Value: c}
	}
}

// unread returns the item of a record that cannot be decoded, with its place. Its id
// stands under idName.
func unread[T any](raw []byte, e *RecordError, idName string) Item[T] {
	id, at, field := place(raw, idName)
	e.ID = id
	if e.Field == "" && e.Cause == CauseInvalidUTF8 {
		e.Field = field
	}
	return Item[T]{ID: id, UpdatedAt: at, Err: e}
}
