#!/usr/bin/env python3
"""Recomputes every constant of docs/PROOF.md and compares it with what the text claims.

Needs Python 3.9 or newer and nothing else:
  python3 docs/proof-constants.py          one line for each claim, with its section
  python3 docs/proof-constants.py --check  the claims that fail, and whether docs/PROOF.md quotes today's output
Exits with 1 if a claim does not hold or the quotation differs.
"""
from __future__ import annotations
import math, pathlib, sys
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import combinations

P = 2**64 - 2**32 + 1
COMMITTEES = [(4, 1), (5, 1), (6, 1), (7, 2), (9, 2), (11, 2), (13, 3)]
getcontext().prec = 60
lines: list[str] = []


def claim(section: str, text: str, value: object, holds: bool) -> None:
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    lines.append(f"{section:4} {'ok   ' if holds else 'FALSE'} {text:70} {shown}".rstrip())


# ---- 3: the proof's polynomial ---------------------------------------------------------
def degree(s: int, b: int, rows: int = 128) -> int:
    """Highest power of rho: the norm, one bit constraint for each witness entry, one for each row, from power 0."""
    witness = b + 2 * s + 1 + rows * (s + 4)
    return 1 + witness + rows - 1


def field() -> None:
    """Lucas: an element of order p-1 shows that p is prime. Being a generator, 7 is no square, so u^2 - 7 is irreducible."""
    primes = (2, 3, 5, 17, 257, 65537)
    rest = P - 1
    for q in primes:
        while rest % q == 0:
            rest //= q
    order = pow(7, P - 1, P) == 1 and all(pow(7, (P - 1) // q, P) != 1 for q in primes)
    claim("3.3", "7 has order p-1: p is prime and K is a field", primes, rest == 1 and order)


def soundness() -> None:
    claim("3.3", "degree in rho for s = 25, b = 8", degree(25, 8), degree(25, 8) == 3899)
    worst = max(degree(s, b) for s in range(26) for b in range(min(16, s) + 1))
    claim("3.3", "largest degree of any weighted-mean program", worst, worst == 3907)
    chances = [("3899/p^2", 3899, -116.07), ("3907/p^2", 3907, -116.06), ("ballot, d = 2^24", 2**24, -103.99)]
    for name, d, most in chances:
        bits = math.log2(d) - 2 * math.log2(P)
        claim("3.3", f"log2 of one combiner's chance, {name}", bits, bits < most)
    per_try = Fraction(1, 2**128) + Fraction(3907, P * P)
    for log_t in (64, 80, 100):
        bound = 2**log_t * (per_try + Fraction(2**log_t, 2**256))
        value = math.log2(bound.numerator) - math.log2(bound.denominator)
        claim("3.3", f"log2 of the bound after T = 2^{log_t} hashes", value, value < log_t - 116.06)


def rank(rows: list[list[int]]) -> int:
    """Rank modulo p."""
    rows, found = [r[:] for r in rows], 0
    for c in range(len(rows[0])):
        pivot = next((r for r in range(found, len(rows)) if rows[r][c] % P), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = pow(rows[found][c], P - 2, P)
        for r in range(len(rows)):
            if r != found and rows[r][c] % P:
                factor = rows[r][c] * inverse % P
                rows[r] = [(a - factor * b) % P for a, b in zip(rows[r], rows[found])]
        found += 1
    return found


def times_root(poly: list[int], root: int) -> list[int]:
    """poly * (Z - root), lowest coefficient first."""
    return [(a - root * b) % P for a, b in zip([0] + poly, poly + [0])]


def proof_polynomials() -> None:
    blind, cheat, holders = True, True, True
    for n, t in COMMITTEES:
        for corrupt in combinations(range(1, n + 1), t):
            base = [0, 1]                                   # Z * f_T*(Z) up to a constant factor
            for j in corrupt:
                base = times_root(base, j)
            masks = [[0] * e + base + [0] * (t - 1 - e) for e in range(t)]
            views = [[pow(z, e, P) for e in range(2 * t + 1)] for z in (0, *corrupt)]
            unseen = all(sum(a * b for a, b in zip(m, v)) % P == 0 for m in masks for v in views)
            blind &= unseen and rank(masks) == t and rank(views) == t + 1 and t + (t + 1) == 2 * t + 1
        points = range(1, 2 * t + 2)
        cheat &= rank([[pow(z, e, P) for e in range(1, 2 * t + 1)] for z in points[: 2 * t]]) == 2 * t
        cheat &= rank([[pow(z, e, P) for e in range(2 * t + 1)] for z in points]) == 2 * t + 1
        holders &= (2 * t + 1) - t == t + 1
    claim("2.3", "M(Z) leaves V uniform given V(0) and t views, all corrupt sets", len(COMMITTEES), blind)
    claim("3.2", "2t values can be met at will, 2t+1 values determine V", len(COMMITTEES), cheat)
    claim("3.1", "2t+1 honest holders leave t+1 for each seed", len(COMMITTEES), holders)


# ---- 4: the row lemma --------------------------------------------------------------------
def gaussian_bound(square: float) -> tuple[float, float]:
    """min over lambda of e^lambda ((1 + square lambda)^-1/2 + erfc(pi / (4 sqrt lambda))), and where."""
    grid = (i / 1000 for i in range(1, 1001))
    value = lambda x: math.exp(x) * ((1 + square * x) ** -0.5 + math.erfc(math.pi / (4 * math.sqrt(x))))
    return min((value(x), x) for x in grid)


def largest_mass(x: list[int], beta: int) -> float:
    """Exactly: the largest probability with which <R, x> falls into an interval of 2 beta integers."""
    reach = sum(abs(v) for v in x)
    ways = {0: 1}
    for v in x:
        new: dict[int, int] = {}
        for y, count in ways.items():
            for step, times in ((-v, 1), (0, 2), (v, 1)):
                new[y + step] = new.get(y + step, 0) + times * count
        ways = new
    cumulative = [0]
    for y in range(-reach - 2 * beta, reach + 2 * beta + 1):
        cumulative.append(cumulative[-1] + ways.get(y, 0))
    return max(b - a for a, b in zip(cumulative, cumulative[2 * beta:])) / 4 ** len(x)


def sizes_and_p() -> None:
    beta = 2**28
    ratios = f"{P / beta**2:.4f} ({P / (2 * beta) ** 2:.4f})"
    claim("4.3", "p over beta^2 at s = 25 (and at s = 26)", ratios, P >= 81 * beta**2 > P // 4)
    reach = math.isqrt(2**32 * 85 * beta**2) + 1
    claim("4.2", "log2 of the subset's reach, d = 2^32: one interval is met", math.log2(reach), 2 * reach < P - 2 * beta)
    sides = 81 * beta**2 + 2**51
    claim("3.4", "log2 of 81 beta^2 + 2^51, below that of p", math.log2(sides), sides < P)


def exact_cases() -> None:
    cases = {"24 x 15": [15] * 24, "81 x 8": [8] * 81, "576 x 3": [3] * 576, "23 x 15 and 9": [15] * 23 + [9]}
    for name, x in cases.items():
        enough = 81 * 64 <= sum(v * v for v in x) and max(x) < 16
        mass = largest_mass(x, 8)
        claim("4.2", f"exactly, s = 0, x = {name}: largest mass", mass, enough and mass < 0.31)
    half = largest_mass([1000], 8)
    claim("4.1", "exactly, s = 0, x = (1000): case 1 attains 1/2", half, half == 0.5)


def row_lemma() -> None:
    value, where = gaussian_bound(81)
    claim("4.2", f"case 2, elementary bound (lambda = {where}), below 0.31", value, value < 0.31)
    least = next(c for c in range(1, 82) if gaussian_bound(c)[0] <= 0.5)
    claim("4.2", "smallest square norm over beta^2 for which that is 1/2", least, least < 81)
    deviation = math.sqrt(40.5)
    lyapunov, centre = 2 / deviation, 2 / (deviation * math.sqrt(2 * math.pi))
    mass, most = centre + 2 * 0.56 * lyapunov, (0.5 - centre) / (2 * lyapunov)
    claim("4.2", "standard deviation over beta, at least 6.36", deviation, deviation > 6.36)
    claim("4.2", "second proof: mass by Berry-Esseen with 0.56, below 0.48", mass, mass < 0.48)
    claim("4.2", "second proof: largest constant that would do, over 0.56", most, most > 0.56)
    sizes_and_p()
    exact_cases()
    bits = (math.log(2) - 64) / math.log(2)
    claim("4.4", "log2 of an honest row's failure, 2e^-64", bits, bits < -91.3)
    claim("4.4", "log2 of an honest proof's failure, 128 rows", bits + 7, bits + 7 < -84.3)


# ---- 5: encoding ----------------------------------------------------------------------------
def exponent(y: float, deviations: float, reach: float = 0.0) -> float:
    """min over D >= 0 of (deviations y + D)^2 / 2 (y + reach + sqrt D)^2, in closed form."""
    length = y + reach
    root = math.sqrt(length * length + deviations * y) - length
    return (2 * root) ** 2 / 2


def scanned(y: float, deviations: float) -> float:
    return min((deviations * y + r * r) ** 2 / (2 * (y + r) ** 2) for r in (y * i / 4000 for i in range(4001)))


def shrink(kappa: int, d: int) -> float:
    """As the code computes it."""
    return (math.sqrt(float(4 * kappa * kappa - d) + 90.25) - 9.5) / (2 * kappa)


def encoding() -> None:
    smallest = next(k for k in (2**i for i in range(26)) if k >= 1 and shrink(k, 1) >= 0.9)
    claim("5.2", "smallest kappa that a program may have", smallest, smallest == 64)
    y = 0.9 * 64
    claim("5.2", "exponent of a rounding over the bound, least y, over 41.7", exponent(y, 9.5), exponent(y, 9.5) > 41.7)
    grows = all(exponent(0.9 * 2**k, 9.5) < exponent(0.9 * 2 ** (k + 1), 9.5) < 45.125 for k in range(6, 25))
    claim("5.2", "it grows with y, towards", 9.5**2 / 2, grows and abs(scanned(y, 9.5) - exponent(y, 9.5)) < 1e-4)
    with_error = exponent(y, 9.5 - 0.125 - 0.01, 1 / 16)
    claim("5.4", "the same with a norm that is wrong by 1/(16 kappa), over 40", with_error, with_error > 40)
    for d, k in ((25_186, 17), (10**6, 17), (10**8, 17), (2 * 10**8, 17)):
        radius = 1 / shrink(2**k, d)
        claim("5.1", f"radius over C for d = {d:,}, kappa = 2^{k}", f"{radius:.7f}", 1 < radius < 1.002)
    worst = max(shrink_error(2**i, d) for i in range(6, 26) for d in sizes(2**i))
    claim("5.4", "largest relative error of 1-e, in units of 2^-53", worst, worst < 4)
    for name, additions in (("512", 512 // 8 + 8 + 2**23), ("2^16", 2 * 2**16)):
        error = Fraction(additions + 3, 2**54)
        text = f"log2 of the norm's error, blocks of {name}, d = 2^32, below -29"
        claim("5.4", text, math.log2(error), error < Fraction(1, 16 * 2**25))
    claim("3.5", "log2 of 2^25 times 2^32 sites, below that of p/2", 57, 2**57 < P // 2)


def sizes(kappa: int) -> list[int]:
    most = int(0.76 * kappa * kappa)
    return [d for d in (1, most // 1000, most // 3, most // 2) if 1 <= d <= 2**32 and shrink(kappa, d) >= 0.9]


def shrink_error(kappa: int, d: int) -> float:
    exact = ((Decimal(4 * kappa * kappa - d) + Decimal("90.25")).sqrt() - Decimal("9.5")) / (2 * kappa)
    return float(abs(Decimal(shrink(kappa, d)) / exact - 1) * 2**53)


# ---- 6: agreement ---------------------------------------------------------------------------
def agreement() -> None:
    ok = dict.fromkeys(("quorums", "lost", "votes", "acks", "live", "recover"), True)
    count = 0
    for t in range(1, 11):
        for n in range(3 * t + 1, min(5 * t + 1, 32) + 1):
            q, a, count = 3 * t + 1, (n + t + 1) // 2, count + 1
            ok["quorums"] &= 2 * q - n >= t + 1
            ok["votes"] &= q - t == 2 * t + 1 and n - q + 1 == n - 3 * t
            ok["acks"] &= 2 * a - (n - 1) >= t + 1
            ok["recover"] &= a + (n - t - 1) - (n - 1) >= t + 1
            ok["live"] &= n < 4 * t + 1 or (n - t >= q and n - 1 - t >= a)
            ok["lost"] &= n != 5 * t + 1 or 2 * q - n - t == 1
    names = {
        "quorums": ("6.1", "two quorums of Q share t+1 members"),
        "lost": ("6.1", "at n = 5t+1 two quorums may share one honest node only"),
        "votes": ("6.3", "a set that n-3t honest nodes refuse has no Q votes"),
        "acks": ("6.4", "two sets of acknowledgements share t+1 peers"),
        "recover": ("6.4", "n-t-1 answers include t+1 peers that acknowledged"),
        "live": ("6.4", "t silent leave Q members and enough acknowledgements, n >= 4t+1"),
    }
    for key, (section, text) in names.items():
        claim(section, text, f"{count} committees", ok[key])
    table = " ".join(f"({n},{t}):{(n + t + 1) // 2}" for n, t in COMMITTEES)
    claim("6.4", "acknowledgements", table, "(5,1):3 (6,1):4" in table and "(9,2):6" in table and "(13,3):8" in table)


if __name__ == "__main__":
    for part in (field, proof_polynomials, soundness, row_lemma, encoding, agreement):
        part()
    wrong = [line for line in lines if "FALSE" in line]
    output = "\n".join(lines)
    shown = wrong if "--check" in sys.argv else lines
    for line in shown:
        print(line)
    print(f"{len(lines) - len(wrong)} claims hold, {len(wrong)} do not")
    quoted = output in (pathlib.Path(__file__).parent / "PROOF.md").read_text(encoding="utf-8")
    if "--check" in sys.argv and not quoted:
        print("docs/PROOF.md, section 9, does not quote this output: run docs/proof-constants.py and replace it")
    sys.exit(bool(wrong) or ("--check" in sys.argv and not quoted))
