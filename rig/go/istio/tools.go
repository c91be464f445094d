//go:build tools

// Package tools names Istio's control plane and the agent of its proxies.
package tools

import (
	_ "istio.io/istio/pilot/cmd/pilot-agent"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
