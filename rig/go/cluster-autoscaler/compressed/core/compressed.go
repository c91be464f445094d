package core

import (
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
)

// Half a minute, in a simulation's time.
var unschedulablePodWithGpuTimeBuffer = clusterstate.Compressed(30 * time.Second)
