"""Promise 5: the frameworks' own tests, with the agent in every app they build."""
