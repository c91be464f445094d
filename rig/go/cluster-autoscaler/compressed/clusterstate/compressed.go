package clusterstate

import (
	"os"
	"strconv"
	"time"
)

// MaxNodeStartupTime is fifteen minutes, in a simulation's time.
var MaxNodeStartupTime = Compressed(15 * time.Minute)

// Compressed is a time of the real world in a simulation that runs so many times as fast.
func Compressed(real time.Duration) time.Duration {
	factor, err := strconv.ParseFloat(os.Getenv("SPILLWAY_COMPRESSION"), 64)
	if err != nil || factor < 1 {
		return real
	}
	return time.Duration(float64(real) / factor)
}
