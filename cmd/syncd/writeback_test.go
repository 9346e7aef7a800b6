package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/magento-copernica/syncd/internal/emulator"
	"github.com/magento-copernica/syncd/magento/magentotest"
)

// A shop that is to be left alone is, whichever command is asked to write there: it ends
// with what to do before anybody is called.
func TestPromise18_AShopThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	refused, other := s.id(1), s.id(2)
	s.shop.SetNewsletter(refused, magentotest.Subscribed)
	s.shop.SetNewsletter(other, magentotest.Subscribed)
	s.ends(exitDone, s.run("run"))
	s.optsOut(refused)
	s.pass(time.Minute)
	refusing := s.shop.Faults().Add(emulator.Fault{
		Method: http.MethodPut, Kind: emulator.Status, Status: 400,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"message":"First Name is not valid!"}`,
	})
	s.ends(exitDeadLetters, s.run("run", "unsubscribes"))
	refusing.Remove()
	letter := s.open()[refused]
	if letter.Cause != "unsubscribe_refused" {
		t.Fatalf("got %+v", letter)
	}
	// The letter is told of with the customer and with their profile.
	s.run("lookup", number(refused)).says(t, "no. "+number(letter.ID)+", open: unsubscribe_refused, last seen ")
	s.run("dead", "show", number(letter.ID)).says(t, "customer "+number(refused)+" of shop", "profile "+number(s.profileOf(key(refused)))+" in Copernica database ")
	s.optsOut(other)
	s.pass(time.Minute)

	s.environ["SYNCD_WRITE_BACK"] = "off"
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"run", "unsubscribes"}, "leave unsubscribes out of the command"},
		{[]string{"run", "customers/consent", "unsubscribes"}, "leave unsubscribes out of the command"},
		{[]string{"dead", "replay", number(letter.ID)}, "leave dead letter " + number(letter.ID) + " out"},
		{[]string{"dead", "replay", "--cause", "unsubscribe_refused"}, "leave dead letter " + number(letter.ID) + " out"},
	} {
		s.shop.Log().Reset()
		calls := s.account.Calls()
		s.ends(exitConfiguration, s.run(c.args...), "SYNCD_WRITE_BACK is off", c.says, "or set it to on")
		if s.shop.Log().Total() != 0 || s.account.Calls() != calls {
			t.Errorf("%s: the shop was called: %v, Copernica %d times", strings.Join(c.args, " "), s.shop.Log().Counts(), s.account.Calls()-calls)
		}
	}

	// What does not write there goes on.
	s.ends(exitDeadLetters, s.run("run", "customers", "customers/consent"))
	s.ends(exitDeadLetters, s.run("verify"))
	for call, n := range s.shop.Log().Counts() {
		if strings.HasPrefix(call, http.MethodPut) {
			t.Errorf("%d times %s", n, call)
		}
	}
	for _, id := range []int64{refused, other} {
		if !s.mails(id) {
			t.Errorf("the shop unsubscribed customer %d", id)
		}
	}

	delete(s.environ, "SYNCD_WRITE_BACK")
	s.ends(exitDone, s.run("dead", "replay", number(letter.ID)))
	s.ends(exitDone, s.run("run", "customers/consent", "unsubscribes"))
	if s.mails(refused) || s.mails(other) {
		t.Error("the shop mails who opted out, although it is left alone no more")
	}
}

// optsOut writes in a customer's profile that they want no mail.
func (s *stage) optsOut(id int64) {
	s.t.Helper()
	s.must(s.account.EditProfile(s.profileOf(key(id)), map[string]string{"newsletter": "no, thank you"}))
}

// mails reports whether a customer is subscribed in the shop.
func (s *stage) mails(id int64) bool {
	for _, c := range s.shop.Data().Customers {
		if c.ID == id {
			return c.NewsletterStatus == magentotest.Subscribed
		}
	}
	return false
}
