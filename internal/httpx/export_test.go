package httpx

import "net/http"

// BaseOf is the transport that a chain makes for itself.
func BaseOf(cfg Config) *http.Transport { return newBase(cfg) }
