"""What would go wrong with a stack before it is applied: questions to its cluster and its cloud."""
