"""Timing and the form of the figures, the same as that of bench/prio."""

import time
from collections.abc import Callable


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def times_of(repeat: int, work: Callable[[], object]) -> list[float]:
    """Milliseconds of `repeat` calls after one that is not measured."""
    work()
    return [timed(work) for _ in range(repeat)]


def quantile(ordered: list[float], part: float) -> float:
    """The nearest-rank quantile, as `consilium bench` takes it."""
    return ordered[int((len(ordered) - 1) * part + 0.5)]


def row(peer: str, step: str, beside: str, d: int, times: list[float], size: float | None = None) -> dict:
    """One step of one peer: median and spread (first to third quartile) in ms, `size` the bytes that a site uploads."""
    ordered = sorted(times)
    return {
        "peer": peer,
        "step": step,
        "beside": beside,
        "d": d,
        "runs": len(ordered),
        "median_ms": quantile(ordered, 0.5),
        "spread_ms": quantile(ordered, 0.75) - quantile(ordered, 0.25),
        "bytes": None if size is None else int(size),
        "memory_bytes": None,
    }
