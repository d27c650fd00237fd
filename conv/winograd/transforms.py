#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""transforms.py --table|--transforms|--matrices: the one-dimensional Winograd transforms as C headers.

F(m,r) computes m outputs of a correlation with r taps, y[i] = sum over j of d[i+j] * g[j], by t = m+r-1 products:
    y = A^T [(G g) . (B^T d)]
(S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin and S. Gray, "Fast Algorithms for Convolutional
Neural Networks", 2016). It is the transpose of Toom-Cook multiplication: polynomials of m and r coefficients are
evaluated at t points p_j, the last one infinity, and B interpolates. With M(x) = (x - p_0) ... (x - p_(t-2)):
    A^T[i][j] = p_j^i       G[j][k] = p_j^k / M'(p_j)       row j of B^T: coefficients of M(x) / (x - p_j)
    at infinity: the last output, the last tap, and M itself.
Row j of B^T and of G and column j of A^T may be scaled as long as the product stays. The scaling here leaves B^T and
A^T (or B^T and G, for the gradient of the filter) exact in f32, rows of B^T monic, since a coefficient of one costs
nothing, columns of A^T below 2, so that sums of denormal products are not magnified, and the inexact 1/M'(p_j) where it
is multiplied least often. Relative errors do not depend on the scaling but on the points.

Points. To independent inputs of equal size, rounding of the products is amplified by
    sqrt(mean over i of sum over j of A[i][j]^2 |G_j|^2 |B_j|^2 / r)
in comparison with direct convolution, whatever the scaling; two axes multiply. All sets of t-1 points from 0 and
fractions with small numerators and denominators were tried. Pairs +-p share most of their work, and sets of pairs are
within 2 % of the best of all for an even t, within 10 % for an odd one. The choice is the best dyadic set of pairs."""
import argparse
import math
import struct
from fractions import Fraction


def points(*numerators, of=1):
    return [Fraction(n, of) for n in numerators]


# Finite points by t, 0 first. Amplification at r = 3 unless said otherwise, in one dimension.
POINTS = {
    1: [],
    2: points(0),
    3: points(0, -1),
    4: points(0, 1, -1),                                   # 1.29
    5: points(0, 3, -3, 8, of=4),                          # 2.02; 2.45 of 0 +-1 2, 1.91 of 0 1/2 -1 2 (no pair)
    6: points(0, 5, -5, 12, -12, of=8),                    # 2.19; 3.28 of 0 +-1 +-2, 2.62 of 0 +-1/2 +-2
    7: points(0, 2, -2, 1, -1, 6, of=2),                   # 3.86; 4.08 with 2, 3.75 of 0 +-1/2 +-9/8 21/8
    8: points(0, 2, -2, 1, -1, 4, -4, of=2),               # 4.54, the least of all; F(2,7) 4.98
    9: points(0, 6, -6, 9, -9, 18, -18, 2, of=8),          # F(7,3), F(3,7) 8.2; 14.2 of 0 +-1/2 +-1 +-2 1/4
    10: points(0, 3, -3, 7, -7, 10, -10, 20, -20, of=8),   # F(4,7) 10.4
}
# Sets that differ from these: fewer operations and more error, or for comparison.
CLASSIC = {6: points(0, 1, -1, 2, -2)}
DEFAULT, CLASSICAL, GRADIENT = range(3)


def f32(value):
    """Whether a fraction is a float."""
    try:
        return Fraction(struct.unpack("f", struct.pack("f", float(value)))[0]) == value
    except OverflowError:
        return False


def power_of_two(value):
    """The power of two by which a value of at least one comes into [1, 2)."""
    return Fraction(1, 1 << math.floor(value).bit_length() - 1)


def product(roots):
    """Coefficients, constant first, of the product of (x - root)."""
    poly = [Fraction(1)]
    for root in roots:
        poly = [a - root * b for a, b in zip([Fraction(0)] + poly, poly + [Fraction(0)])]
    return poly


class Tile:
    """The matrices of one F(m,r); set DEFAULT, CLASSICAL (other points) or GRADIENT (1/M' in A^T)."""

    def __init__(self, m, r, points_set=DEFAULT):
        self.m, self.r, self.set, self.t = m, r, points_set, m + r - 1
        self.points = CLASSIC[self.t] if points_set == CLASSICAL else POINTS[self.t]
        assert len(set(self.points)) == self.t - 1
        self.bt, self.g, columns = [], [], []
        for p in self.points:
            others = [q for q in self.points if q != p]
            slope = math.prod((p - q for q in others), start=Fraction(1))
            self.bt.append(product(others) + [Fraction(0)])
            if points_set == GRADIENT:
                left, right = 1 / slope, Fraction(1)
            else:
                left = power_of_two(max(Fraction(1), abs(p)) ** (m - 1))
                right = 1 / slope / left
            self.g.append([p ** k * right for k in range(r)])
            columns.append([p ** i * left for i in range(m)])
        self.bt.append(product(self.points))
        self.g.append([Fraction(int(k == r - 1)) for k in range(r)])
        columns.append([Fraction(int(i == m - 1)) for i in range(m)])
        self.at = [list(row) for row in zip(*columns)]
        exact = self.bt + (self.g if points_set == GRADIENT else self.at)
        assert all(f32(value) for row in exact for value in row)

    def name(self, kind):
        return f"wino_{kind}_{self.m}_{self.r}_{self.set}"

    def amplification(self):
        def squares(row):
            return float(sum(value * value for value in row))
        total = sum(float(self.at[i][j]) ** 2 * squares(self.g[j]) * squares(self.bt[j])
                    for i in range(self.m) for j in range(self.t))
        return math.sqrt(total / self.m / self.r)

    def pairs(self):
        """(j, j+1) of points p and -p, and (j, None) of the other finite ones."""
        j, found = 0, []
        while j < self.t - 1:
            paired = j + 1 < self.t - 1 and self.points[j] == -self.points[j + 1]
            found.append((j, j + 1 if paired else None))
            j += 2 if paired else 1
        return found


# What is emitted: the forward tiles and their rotations for BWD_DATA, then what the filter's gradient takes: F(r,m).
TILES = [Tile(1, 1)] + [Tile(m, r) for r, sizes in {2: range(1, 8), 3: range(2, 8), 4: range(2, 6), 5: range(2, 5),
                                                    7: range(2, 5)}.items() for m in sizes]
TILES += [Tile(4, 3, CLASSICAL)]
TILES += [Tile(m, r, GRADIENT) for m, sizes in {3: range(2, 8), 5: range(2, 5), 7: range(2, 5)}.items() for r in sizes]


def literal(value):
    """A float constant, rounded where it must be."""
    return f"{float(value)!r}f" if f32(value) else f"{float(value):.9g}f"


def groups_of(terms):
    """[(size, [(positive, name), ...]), ...] of a sum, by size of coefficients: ones first, then what begins with a
    plus."""
    groups = {}
    for c, name in terms:
        groups.setdefault(abs(c), []).append((c > 0, name))
    by_sign = [(size, sorted(group, key=lambda item: not item[0])) for size, group in groups.items()]
    return sorted(by_sign, key=lambda item: (not item[1][0][0], item[0] != 1))


def combine(terms):
    """C text of the sum of coefficient * name; equal coefficients are multiplied once."""
    text = ""
    for size, group in groups_of(terms):
        minus = not group[0][0]
        inner = group[0][1]
        for positive, name in group[1:]:
            inner += (" - " if positive == minus else " + ") + name
        if len(group) > 1 and (minus or size != 1):
            inner = f"({inner})"
        if size != 1:
            inner = f"{literal(size)} * {inner}"
        text += (" - " if minus else " + ") + inner if text else ("-" if minus else "") + inner
    return text


def operations(terms):
    """Instructions of a sum where multiplications fuse with additions."""
    groups = groups_of(terms)
    return len(terms) - 1 + (groups[0][0] != 1 or not groups[0][1][0][0])


class Body:
    """The statements of one transform: all its inputs are read, then what is computed is written."""

    def __init__(self, tile, kind, inputs, outputs):
        self.tile, self.kind, self.inputs, self.outputs = tile, kind, inputs, outputs
        self.lines, self.results, self.operations = [], [None] * outputs, 0

    def sum(self, terms):
        terms = [(Fraction(c), name) for c, name in terms if c and name]
        self.operations += operations(terms) if terms else 0
        return combine(terms)

    def let(self, terms):
        """A name for a sum of coefficient * name; None when it is empty."""
        text = self.sum(terms)
        if not text or text.isalnum():
            return text or None
        self.lines.append(f"const vf v{len(self.lines) + 1} = {text};")
        return f"v{len(self.lines)}"

    def put(self, j, terms):
        self.results[j] = self.sum(terms)

    def text(self):
        at = ["0", "s"] + [f"{i} * s" for i in range(2, self.inputs)]
        to = ["0", "to_s"] + [f"{i} * to_s" for i in range(2, self.outputs)]
        out = [f"CVL_INLINE void {self.tile.name(self.kind)}(const vf *d, ptrdiff_t s, vf *to, ptrdiff_t to_s)", "{"]
        out += [f"    const vf d{i} = d[{at[i]}];" for i in range(self.inputs)]
        out += ["    " + line for line in self.lines]
        out += [f"    to[{to[i]}] = {result};" for i, result in enumerate(self.results)]
        return "\n".join(out + ["}", ""])


def d_terms(row):
    return [(c, f"d{i}") for i, c in enumerate(row)]


def shifted(body, poly, shifts, lone):
    """Names of x^i * poly * (x - lone) applied to d, for i < shifts. One `lone` point without a partner would double
    the terms of all polynomials, which without it are even or odd: it is multiplied last."""
    names = [body.let(d_terms([Fraction(0)] * i + poly)) for i in range(shifts + (lone is not None))]
    if lone is None:
        return names
    return [body.let([(1, names[i + 1]), (-lone, names[i])]) for i in range(shifts)]


def input_body(tile):
    """B^T. With Q = M / (x^2 - p^2) the rows of +-p are x Q +- p Q; zero and infinity are M / x and M, and so is a
    lone point but for one factor."""
    body = Body(tile, "input", tile.t, tile.t)
    alone = [tile.points[j] for j, other in tile.pairs() if other is None and tile.points[j]]
    lone = alone[0] if alone else None
    paired = [p for p in tile.points if p != lone]
    for j, other in tile.pairs():
        if other is not None:
            p = tile.points[j]
            lower, upper = shifted(body, product([x for x in paired if abs(x) != abs(p)]), 2, lone)
            body.put(j, [(1, upper), (p, lower)])
            body.put(other, [(1, upper), (-p, lower)])
    if lone is None:
        for j in sorted({0, tile.t - 1}):
            body.put(j, d_terms(tile.bt[j]))
        return body
    rest = product([x for x in paired if x])
    low, middle, high = [body.let(d_terms([Fraction(0)] * i + rest)) for i in range(3)]
    body.put(0, [(1, middle), (-lone, low)])
    body.put(tile.points.index(lone), [(1, middle)])
    body.put(tile.t - 1, [(1, high), (-lone, middle)])
    return body


def filter_body(tile):
    """G. The rows of +-p are even + odd and even - odd powers of p."""
    body = Body(tile, "filter", tile.r, tile.t)
    for j, other in tile.pairs():
        row = tile.g[j]
        if other is None:
            body.put(j, d_terms(row))
            continue
        same = tile.g[other][0] / row[0]
        if abs(same) == 1:
            by = tile.points[j] if tile.set == GRADIENT else Fraction(1)
            even = body.let([(c, f"d{i}") for i, c in enumerate(row) if i % 2 == 0])
            odd = body.let([(c / by, f"d{i}") for i, c in enumerate(row) if i % 2])
            body.put(j, [(1, even), (by, odd)])
            body.put(other, [(same, even), (-same * by, odd)])
            continue
        p = tile.points[j]
        even = body.let([(p ** i, f"d{i}") for i in range(0, tile.r, 2)])
        odd = body.let([(p ** i, f"d{i}") for i in range(1, tile.r, 2)])
        for at, sign in ((j, 1), (other, -1)):
            body.put(at, [(tile.g[at][0], body.let([(1, even), (sign, odd)]))])
    body.put(tile.t - 1, [(1, f"d{tile.r - 1}")])
    return body


def output_body(tile):
    """A^T. The columns of +-p meet in their sum for even outputs and in their difference for odd ones."""
    body = Body(tile, "output", tile.t, tile.m)
    rows = [[] for _ in range(tile.m)]
    for j, other in tile.pairs():
        if other is not None and abs(tile.at[0][j]) == abs(tile.at[0][other]):
            sign = tile.at[0][other] / tile.at[0][j]
            both = [body.let([(1, f"d{j}"), (sign, f"d{other}")]), None]
            if tile.m > 1:
                both[1] = body.let([(1, f"d{j}"), (-sign, f"d{other}")])
            for i in range(tile.m):
                rows[i].append((tile.at[i][j], both[i % 2]))
            continue
        for column in (j,) if other is None else (j, other):
            for i in range(tile.m):
                rows[i].append((tile.at[i][column], f"d{column}"))
    rows[-1].append((Fraction(1), f"d{tile.t - 1}"))
    for i, terms in enumerate(rows):
        body.put(i, terms)
    return body


BODIES = {"input": input_body, "filter": filter_body, "output": output_body}


def header(guard, what, lines):
    """Text of a C header."""
    head = ["/* SPDX-License-Identifier: Apache-2.0", f" * Written by conv/winograd/transforms.py: {what}. */"]
    return "\n".join(head + [f"#ifndef {guard}", f"#define {guard}", ""] + lines + ["", "#endif", ""])


def table():
    """WINO_ALL and the rows of the table of tiles."""
    names = [f"    X({tile.m}, {tile.r}, {tile.set})" for tile in TILES]
    rows = []
    for tile in TILES:
        costs = ", ".join(str(make(tile).operations) for make in BODIES.values())
        rows += [f"    {{ {tile.m}, {tile.r}, {tile.set}, {tile.t}, {{ {costs} }}, {tile.amplification():.3f} }},"]
    note = "/* m, r, set, points; instructions of B^T, G, A^T; amplification of rounding errors. */"
    return header("WINO_TABLE_H", "the tiles F(m,r) that have transforms", [
        " \\\n".join(["#define WINO_ALL(X)"] + names), "", note, " \\\n".join(["#define WINO_ROWS"] + rows)])


def transforms():
    """The straight-line functions; of a vector type vf that is there already."""
    lines = []
    for tile in TILES:
        lines += [f"/* F({tile.m},{tile.r}): points {' '.join(map(str, tile.points))} inf */"]
        lines += [make(tile).text() for make in BODIES.values()]
    return header("WINO_TRANSFORMS_H", "B^T, G and A^T of F(m,r) as wino_input, wino_filter and wino_output", lines)


def matrices():
    """For tests: arrays of doubles, B^T, G, A^T one after the other, row by row."""
    lines = []
    for tile in TILES:
        values = [v for matrix in (tile.bt, tile.g, tile.at) for row in matrix for v in row]
        text = ", ".join(f"{v.numerator}.0 / {v.denominator}" for v in values)
        lines += [f"static const double wino_values_{tile.m}_{tile.r}_{tile.set}[] = {{ {text} }};"]
    return header("WINO_MATRIX_VALUES_H", "the matrices, for tests", lines)


def main():
    parser = argparse.ArgumentParser(description="C headers of the Winograd transforms, to standard output")
    which = parser.add_mutually_exclusive_group(required=True)
    for make in (table, transforms, matrices):
        which.add_argument("--" + make.__name__, dest="make", action="store_const", const=make)
    print(parser.parse_args().make(), end="")


if __name__ == "__main__":
    main()
