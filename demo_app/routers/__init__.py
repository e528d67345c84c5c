"""The shop's endpoints, one router per file."""
