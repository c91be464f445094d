"""What a stack's pools and queues are doing now, and what it costs: a look that changes nothing."""
