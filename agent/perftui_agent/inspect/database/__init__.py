"""What the agent asks the app's databases itself."""
