"""Wire the stages of the agent together."""
