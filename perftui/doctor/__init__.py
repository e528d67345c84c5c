"""What stands in the way here: read once, then judged by checks that each look at one thing."""
