package magento

import (
	"net/url"
	"strings"
)

// normalise turns an address as people paste it into scheme://host[:port][/path] of
// the shop. The path is cut at the first segment that belongs to Magento itself
// (rest, index.php, admin…, V1); what stands before is the folder the shop lives in.
// An error names the setting it was pasted into.
func normalise(setting, pasted string) (string, error) {
	text := strings.TrimSpace(pasted)
	if text == "" {
		return "", configurationError(setting + " is empty: set it to the shop's address, such as https://shop.example")
	}
	if !strings.Contains(text, "://") {
		text = "https://" + strings.TrimLeft(text, "/")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		// The parser's own message quotes the input, which may hold a password.
		return "", configurationError(setting + " is not an address: set it to something like https://shop.example")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", configurationError(setting + " starts with neither https:// nor http://: set it to something like https://shop.example")
	}
	if u.User != nil {
		return "", configurationError(setting + " holds a user or password: take them out and set SYNCD_MAGENTO_ACCESS_TOKEN, or SYNCD_MAGENTO_USERNAME and SYNCD_MAGENTO_PASSWORD")
	}
	var folder []string
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if segment == "" {
			continue
		}
		if ofMagento(segment) {
			break
		}
		folder = append(folder, segment)
	}
	base := u.Scheme + "://" + strings.ToLower(u.Host)
	if len(folder) > 0 {
		base += "/" + strings.Join(folder, "/")
	}
	return base, nil
}

// ofMagento recognises the first segment of Magento's own routes. The back end's is
// "admin" or, when hardened, starts with it.
func ofMagento(segment string) bool {
	s := strings.ToLower(segment)
	return s == "rest" || s == "index.php" || s == "v1" || strings.HasPrefix(s, "admin")
}
