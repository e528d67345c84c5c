"""The shop's settings, through a cache."""

from __future__ import annotations

import asyncio

from cachetools import TTLCache
from fastapi import APIRouter, HTTPException

from perftui_agent import watch_cache

router = APIRouter(tags=["config"])

SETTINGS: dict[str, dict[str, str | int]] = {
    "shop": {"currency": "EUR", "free_shipping_from_cents": 5000, "language": "en"},
    "checkout": {"max_lines": 20, "reservation_minutes": 15},
    "search": {"results": 20, "min_length": 3},
    "banner": {"text": "Winter sale: up to 40 % off", "until": "2026-02-28"},
}

settings_by_section: TTLCache[str, dict[str, str | int]] = watch_cache(
    TTLCache(maxsize=64, ttl=30), name="config"
)


async def load(section: str) -> dict[str, str | int]:
    """Ask the settings service, a network round trip away."""
    await asyncio.sleep(0.02)
    try:
        return SETTINGS[section]
    except KeyError:
        raise HTTPException(404, f"no section {section!r}; there are {', '.join(SETTINGS)}") from None


@router.get("/config")
async def config(section: str = "shop") -> dict[str, str | int]:
    """Return one section of the settings."""
    if section in settings_by_section:
        return settings_by_section[section]
    settings_by_section[section] = found = await load(section)
    return found
