package main

import (
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
)

// serveBare is what Stile is measured against: an Echo handler that decides nothing and
// answers 200 with the headers that Stile would write, which cost more than the handler.
func serveBare(address string) error {
	e := echo.New()
	e.GET("/auth/traefik", func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Consumer-ID", "consumer-0")
		h.Set("X-Consumer-Username", "Consumer of consumer-0")
		h.Set("X-Consumer-Groups", "partners")
		h.Set("X-Credential-Identifier", "0123456789")
		h.Set("X-Request-ID", "9c34ce2522b3efc182cef947f9313763")
		return c.NoContent(http.StatusOK)
	})
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return http.Serve(l, e) //nolint:gosec // a measure on loopback that ends with its parent
}
