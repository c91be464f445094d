"""GPUs of the cluster: pools of nodes, their queue, and the autoscaler that makes and ends them."""
