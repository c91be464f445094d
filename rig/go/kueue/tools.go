//go:build tools

// Package tools names Kueue, the queue in front of the scheduler.
package tools

import _ "sigs.k8s.io/kueue/cmd/kueue"
