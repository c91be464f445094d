module spillway/rig/pause

go 1.26.0
