"""No privacy and no proof: NumPy adds float32 vectors in the clear."""

import numpy as np

from rows import row, times_of

PEER = f"plaintext, numpy {np.__version__}"


def rows(d: int, repeat: int) -> list[dict]:
    """A site writes its vector's bytes; a server reads them and adds them to a sum in float64."""
    update = np.sin(np.arange(d) * 0.37).astype(np.float32)
    received = update.tobytes()
    total = np.zeros(d)

    def add() -> None:
        np.add(total, np.frombuffer(received, dtype=np.float32), out=total)

    return [
        row(PEER, "site writes its vector", "prove", d, times_of(repeat, update.tobytes), len(received)),
        row(PEER, "server adds one vector", "verify", d, times_of(repeat, add)),
    ]
