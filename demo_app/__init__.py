"""A small shop on FastAPI with the performance faults that real services have, each named in `faults`.

`uvicorn demo_app.app:app --workers 4` serves it; `python -m demo_app.traffic http://127.0.0.1:8000`
sends it customers; `perftui demo` does both and opens the dashboard on it.
"""
