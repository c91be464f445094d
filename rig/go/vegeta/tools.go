//go:build tools

// Package tools names vegeta, which asks as benchmarks want it.
package tools

import _ "github.com/tsenart/vegeta/v12"
