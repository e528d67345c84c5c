"""The budgets, measured: each prints our figure, the peer's and the ratio. Nothing here asserts time."""
