"""The wire: what agents and clients say to each other. Everything both sides share is here.

`frames` has the messages, `codec` their bytes, `registration` how a client finds a worker.
"""
