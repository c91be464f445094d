//go:build tools

// Package tools names Seldon Core's operator.
package tools

import _ "github.com/seldonio/seldon-core/operator"
