"""Every kind of finding, switched on and off in the demo shop while it serves: `python -m tests.faults`."""
