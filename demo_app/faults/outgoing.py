"""What the shop's own calls have in common: whom they go to, and the one client that all requests share."""

from __future__ import annotations

import re

import httpx

from demo_app.upstreams import url_of


def shared_client(service: str, most: int = 50) -> httpx.AsyncClient:
    """Return a client for one of the services, with so many connections at most."""
    transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=most), verify=False)
    return httpx.AsyncClient(base_url=url_of(service), transport=transport, timeout=10, trust_env=False)


def host_of(service: str) -> str:
    """Return what a finding calls that service, as a regular expression."""
    return f"^{re.escape(url_of(service).removeprefix('http://'))}$"
