//go:build tools

// Package tools names the programs that make a bare control plane a usable cluster. They share one
// module so that the Kubernetes client libraries compile once for all of them.
package tools

import (
	_ "k8s.io/apiserver/pkg/server"
	_ "k8s.io/metrics/pkg/apis/metrics"
	_ "github.com/rancher/local-path-provisioner"
	_ "sigs.k8s.io/metrics-server/cmd/metrics-server"
)
