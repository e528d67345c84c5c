"""Run an app with the agent."""
