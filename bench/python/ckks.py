"""CKKS of TenSEAL: sites encrypt under one public key, a server adds, whoever holds the secret key opens."""

from importlib.metadata import version

import numpy as np
import tenseal as ts

from rows import row, times_of

# (name, degree, bits of the primes, bits of the scale). Both have 128 bits of security by the library's table.
PARAMETERS = [
    ("tutorial's parameters, degree 8192", 8192, [60, 40, 40, 60], 40),
    ("smallest for sums, degree 4096", 4096, [54, 55], 40),
]


def rows(d: int, repeat: int) -> list[dict]:
    """Encrypt, add and decrypt at both sets of parameters."""
    return [one for parameters in PARAMETERS for one in rows_with(d, repeat, *parameters)]


def rows_with(d: int, repeat: int, name: str, degree: int, primes: list[int], scale: int) -> list[dict]:
    """Encrypt, add and decrypt at one set of parameters, on one thread."""
    peer = f"CKKS, tenseal {version('tenseal')}, {name}"
    context = ts.context(ts.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=primes, n_threads=1)
    context.global_scale = 2.0**scale
    update = np.sin(np.arange(d) * 0.37)
    plain = ts.plain_tensor(update)

    def encrypt() -> bytes:
        return ts.ckks_vector(context, plain).serialize()

    received = encrypt()
    total = ts.ckks_vector(context, ts.plain_tensor(np.zeros(d)))
    check(context, received, update)
    return [
        row(peer, "site encrypts", "prove", d, times_of(repeat, encrypt), len(received)),
        row(peer, "server adds one ciphertext", "verify", d, times_of(repeat, lambda: add(context, total, received))),
        row(peer, "key holder decrypts the sum", "unmask", d, times_of(repeat, total.decrypt)),
    ]


def add(context: ts.Context, total: ts.CKKSVector, received: bytes) -> None:
    """From the received bytes to the sum that holds them."""
    total.add_(ts.ckks_vector_from(context, received))


def check(context: ts.Context, received: bytes, update: np.ndarray) -> None:
    """The sum of two is twice the one, but for the scheme's own error."""
    total = ts.ckks_vector_from(context, received)
    add(context, total, received)
    error = float(np.abs(np.array(total.decrypt()) - 2 * update).max())
    if error > 1e-5:
        raise SystemExit(f"CKKS: the sum is off by {error}")
