"""The knee: raise the load until something gives, and name what gave.

`plan` says what is sent, `sender` sends it from a process of its own, `search` chooses the rates, `limits`
names what gave from what the agents saw, `law` fits how the service scales, and `run` ties them together.
"""
