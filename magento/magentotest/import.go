package magentotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// imported is a customer as the REST API prints it.
type imported struct {
	ID                     int64  `json:"id"`
	WebsiteID              int64  `json:"website_id"`
	StoreID                int64  `json:"store_id"`
	GroupID                int64  `json:"group_id"`
	CreatedAt              string `json:"created_at"`
	UpdatedAt              string `json:"updated_at"`
	CreatedIn              string `json:"created_in"`
	Email                  string `json:"email"`
	FirstName              string `json:"firstname"`
	LastName               string `json:"lastname"`
	MiddleName             string `json:"middlename"`
	Prefix                 string `json:"prefix"`
	Suffix                 string `json:"suffix"`
	Gender                 int64  `json:"gender"`
	DOB                    string `json:"dob"`
	TaxVAT                 string `json:"taxvat"`
	Confirmation           string `json:"confirmation"`
	DefaultBilling         int64  `json:"default_billing,string"`
	DefaultShipping        int64  `json:"default_shipping,string"`
	DisableAutoGroupChange int64  `json:"disable_auto_group_change"`
	Addresses              []struct {
		ID              int64    `json:"id"`
		CountryID       string   `json:"country_id"`
		Postcode        string   `json:"postcode"`
		City            string   `json:"city"`
		Street          []string `json:"street"`
		Company         string   `json:"company"`
		Telephone       string   `json:"telephone"`
		FirstName       string   `json:"firstname"`
		LastName        string   `json:"lastname"`
		DefaultBilling  bool     `json:"default_billing"`
		DefaultShipping bool     `json:"default_shipping"`
		RegionID        *int64   `json:"region_id"`
	} `json:"addresses"`
	Extension struct {
		IsSubscribed bool `json:"is_subscribed"`
	} `json:"extension_attributes"`
	Attributes []struct {
		Code  string `json:"attribute_code"`
		Value string `json:"value"`
	} `json:"custom_attributes"`
}

// ImportCustomers adds customers printed by a REST API: one, an array, or an answer of
// customers/search. One with a known id takes its place. A subscriber gets status 1
// and everybody else no newsletter row, as the print tells no more. Nothing is added
// when one of them cannot be read.
func (s *Shop) ImportCustomers(text []byte) error {
	items, err := split(text)
	if err != nil {
		return fmt.Errorf("import customers: %w", err)
	}
	customers := make([]Customer, len(items))
	for i, item := range items {
		if customers[i], err = readCustomer(item); err != nil {
			return fmt.Errorf("import customers: item %d: %w", i, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range customers {
		s.store.put(c)
	}
	return nil
}

func split(text []byte) ([]json.RawMessage, error) {
	var items []json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		return items, json.Unmarshal(text, &items)
	}
	var page struct {
		Items []json.RawMessage `json:"items"`
	}
	err := json.Unmarshal(text, &page)
	if page.Items == nil {
		return []json.RawMessage{text}, err
	}
	return page.Items, err
}

func readCustomer(text []byte) (Customer, error) {
	var in imported
	if err := json.Unmarshal(text, &in); err != nil {
		return Customer{}, err
	}
	created, err := time.Parse(time.DateTime, in.CreatedAt)
	if err != nil {
		return Customer{}, fmt.Errorf("created_at: %w", err)
	}
	updated, err := time.Parse(time.DateTime, in.UpdatedAt)
	if err != nil {
		return Customer{}, fmt.Errorf("updated_at: %w", err)
	}
	if in.ID <= 0 {
		return Customer{}, fmt.Errorf("no id")
	}
	c := Customer{
		ID: in.ID, WebsiteID: in.WebsiteID, StoreID: in.StoreID, GroupID: in.GroupID,
		CreatedAt: created, UpdatedAt: updated, CreatedIn: in.CreatedIn,
		Email: in.Email, FirstName: in.FirstName, LastName: in.LastName,
		MiddleName: in.MiddleName, Prefix: in.Prefix, Suffix: in.Suffix,
		Gender: in.Gender, DOB: in.DOB, TaxVAT: in.TaxVAT, Confirmation: in.Confirmation,
		DefaultBilling: in.DefaultBilling, DefaultShipping: in.DefaultShipping,
		DisableAutoGroupChange: in.DisableAutoGroupChange,
	}
	if in.Extension.IsSubscribed {
		c.NewsletterStatus = Subscribed
	}
	for _, a := range in.Addresses {
		c.Addresses = append(c.Addresses, Address{
			ID: a.ID, CountryID: a.CountryID, Postcode: a.Postcode, City: a.City, Street: a.Street,
			Company: a.Company, Telephone: a.Telephone, FirstName: a.FirstName, LastName: a.LastName,
			DefaultBilling: a.DefaultBilling, DefaultShipping: a.DefaultShipping, RegionKey: a.RegionID != nil,
		})
	}
	for _, a := range in.Attributes {
		c.Attributes = append(c.Attributes, Attribute(a))
	}
	return c, nil
}
