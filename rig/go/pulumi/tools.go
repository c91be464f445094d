//go:build tools

// Package tools names the Pulumi engine's command line.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
