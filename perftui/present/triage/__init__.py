"""The panes of the triage view, and how they share its screen."""
