// Package ext is where Traefik's dynamic configuration has room for others: nothing, in Traefik itself. It is a module of
// its own in Traefik's repository, which the Go module proxy does not have.
package ext

// HTTP is inlined into the HTTP configuration.
type HTTP struct{}

// Router is inlined into the configuration of each router.
type Router struct{}
