//go:build tools

// Package tools names Rancher's local-path provisioner.
package tools

import _ "github.com/rancher/local-path-provisioner"
