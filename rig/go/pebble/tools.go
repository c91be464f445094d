//go:build tools

// Package tools names Pebble, Let's Encrypt's ACME server for tests, and the DNS that it asks.
package tools

import (
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble"
	_ "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv"
)
