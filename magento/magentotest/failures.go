package magentotest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/magento-copernica/syncd/internal/emulator"
)

// The failures of a shop as they were recorded. Each is a fault that hits every call;
// set Times, PathContains and the like before it is added.

// Maintenance is a shop in maintenance mode: 503, HTML, no Retry-After, for every
// route and Accept header (recordings maintenance-503-*).
func Maintenance() emulator.Fault {
	return page("maintenance", http.StatusServiceUnavailable, htmlType, frame("Error 503: Service Unavailable",
		"<h1>Service Temporarily Unavailable</h1>\n<p>\n    The server is temporarily unable to service your request due to maintenance downtime or capacity problems.\n    Please try again later.\n</p>"))
}

// DatabaseDown is a shop without its database: 500 and HTML that calls itself
// text/plain (recording infra-db-down).
func DatabaseDown() emulator.Fault {
	return page("database down", http.StatusInternalServerError, "text/plain;charset=UTF-8", `<!doctype html>
<html xmlns="http://www.w3.org/1999/xhtml" >
<head>
    <title>There has been an error processing your request</title>
    <base href="An error has happened during application run. See exception log for details.

`)
}

// PHPFatal is a script that ran out of memory: 500 and JSON of its own shape
// (recording infra-php-memory-exhausted).
func PHPFatal() emulator.Fault {
	return page("php fatal", http.StatusInternalServerError, fatalType, fatalBody)
}

const (
	fatalType = "application/json; charset=UTF-8"
	fatalBody = `{"messages":{"error":[{"code":500,"message":"Server internal error. See details in report api\/1441629717990"}]}}`
)

// phpFatal answers for a script that ran out of memory on its own page.
func phpFatal(w http.ResponseWriter) {
	w.Header().Set("Content-Type", fatalType)
	w.Header().Set("Cache-Control", "no-store, no-cache, must-revalidate")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(fatalBody))
}

// InternalError is an exception that the shop hides: 500 and JSON. For orders it also
// answers an unknown field (recording orders-filter-bad-field).
func InternalError() emulator.Fault {
	return page("internal error", http.StatusInternalServerError, "application/json; charset=utf-8",
		`{"message":"Internal Error. Details are available in Magento log file. Report ID: webapi-6b022b7a9139b"}`)
}

// BadGateway is PHP not running behind nginx (recording infra-502-php-fpm-down).
func BadGateway() emulator.Fault {
	return page("bad gateway", http.StatusBadGateway, htmlType, nginxPage("502 Bad Gateway"))
}

// GatewayTimeout is a page that took nginx too long (recording infra-504-timeout).
func GatewayTimeout() emulator.Fault {
	return page("gateway timeout", http.StatusGatewayTimeout, htmlType, nginxPage("504 Gateway Time-out"))
}

// URITooLong is nginx refusing the request line (recording url-too-long-414).
func URITooLong() emulator.Fault {
	return page("uri too long", http.StatusRequestURITooLong, htmlType, nginxPage("414 Request-URI Too Large"))
}

// TooManyRequests is the shop's own rate limit, without Retry-After. It was seen for
// placing orders only (recording rate-limit-place-order-2).
func TooManyRequests() emulator.Fault {
	return page("too many requests", http.StatusTooManyRequests, "application/json; charset=utf-8", `{"message":"Too Many Requests"}`)
}

const htmlType = "text/html; charset=UTF-8"

func page(name string, status int, contentType, body string) emulator.Fault {
	return emulator.Fault{Name: name, Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body}
}

// nginxPage is a page of nginx itself.
func nginxPage(title string) string {
	lines := []string{
		"<html>", "<head><title>" + title + "</title></head>", "<body>", "<center><h1>" + title + "</h1></center>",
		"<hr><center>nginx/1.22.1</center>", "</body>", "</html>", "",
	}
	return strings.Join(lines, "\r\n")
}

// frame is Magento's own error page.
func frame(title, content string) string {
	return `<!doctype html>
<html xmlns="http://www.w3.org/1999/xhtml" >
<head>
    <title>` + title + `</title>
    <meta http-equiv="Content-Type" content="text/html; charset=utf-8" />
    <meta name="robots" content="*"/>
    <link rel="stylesheet" href="css/styles.css" type="text/css" />
</head>
<body>
    <main class="page-main">
` + content + `
    </main>
</body>
</html>
`
}

// errorPage answers an exception outside the API, such as an unsupported Accept header.
func errorPage() string {
	return frame("There has been an error processing your request",
		"<h1>There has been an error processing your request</h1>\n    <p><em>Exception printing is disabled by default for security reasons.</em></p>")
}

// storefront answers what is not the API: a home page and HTML for the rest.
func storefront(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		htmlPage(w, http.StatusOK, frame("Home page", "<h1>Home Page</h1>"))
		return
	}
	htmlPage(w, http.StatusNotFound, frame("404 Not Found", "<h1>Whoops, our bad...</h1>"))
}

func htmlPage(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", htmlType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
