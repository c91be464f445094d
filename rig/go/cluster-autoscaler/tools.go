//go:build tools

// Package tools names the cluster autoscaler, which makes and removes nodes in a cloud.
package tools

import _ "k8s.io/autoscaler/cluster-autoscaler"
