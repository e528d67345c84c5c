"""What is done to a worker on demand: dumps of its stacks."""
