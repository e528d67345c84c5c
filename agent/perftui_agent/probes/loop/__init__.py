"""The app's event loop, what holds it, and the threads beside it."""
