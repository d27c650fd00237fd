#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_winograd_transforms.py ROOT: in exact arithmetic, every F(m,r) of conv/winograd/transforms.py is a correlation,
and the C code that it writes computes the matrices."""
import importlib.util
import os
import re
import struct
import sys
import unittest
from fractions import Fraction

sys.dont_write_bytecode = True
NUMBER = re.compile(r"(?<![\w.])\d[\w.+-]*?f\b")


def load(root):
    path = os.path.join(root, "conv/winograd/transforms.py")
    spec = importlib.util.spec_from_file_location("transforms", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def single(text):
    """The fraction that a float literal is."""
    return Fraction(struct.unpack("f", struct.pack("f", float(text.rstrip("f"))))[0])


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector)) for row in matrix]


def basis(size):
    return [[Fraction(int(i == j)) for i in range(size)] for j in range(size)]


def execute(code, values):
    """What straight-line C code writes, in fractions."""
    names, written = {"s": 1, "to_s": 1, "d": values}, {}
    for line in code.splitlines():
        match = re.fullmatch(r" *(?:const vf (\w+)|to\[(.+)\]) = (.+);", line)
        if not match:
            continue
        text = NUMBER.sub(lambda number: f"single('{number.group()}')", match.group(3))
        result = eval(text, {"single": single, "__builtins__": {}}, names)
        if match.group(1):
            names[match.group(1)] = result
        else:
            written[eval(match.group(2), {"__builtins__": {}}, names)] = result
    return [written[i] for i in range(len(written))]


class Transforms(unittest.TestCase):
    def test_each_tile_is_a_correlation(self):
        for tile in transforms.TILES:
            for a, d in enumerate(basis(tile.t)):
                for b, g in enumerate(basis(tile.r)):
                    products = [x * y for x, y in zip(times(tile.bt, d), times(tile.g, g))]
                    expected = [int(a == i + b) for i in range(tile.m)]
                    self.assertEqual(times(tile.at, products), expected, f"F({tile.m},{tile.r}) set {tile.set}")

    def test_the_code_computes_the_matrices(self):
        for tile in transforms.TILES:
            rounded = "output" if tile.set == transforms.GRADIENT else "filter"
            for kind, matrix in (("input", tile.bt), ("filter", tile.g), ("output", tile.at)):
                code = transforms.BODIES[kind](tile).text()
                for vector in basis(len(matrix[0])):
                    got, expected = execute(code, vector), times(matrix, vector)
                    if kind != rounded:
                        self.assertEqual(got, expected, code)
                        continue
                    for value, exact in zip(got, expected, strict=True):
                        self.assertLessEqual(abs(value - exact), abs(exact) * Fraction(3, 2 ** 24), code)

    def test_a_filter_of_fewer_taps_is_zero_at_infinity(self):
        for tile in transforms.TILES:
            self.assertTrue(tile.r == 1 or all(value == 0 for value in tile.g[-1][:-1]))

    def test_the_points_halve_the_error_of_the_classic_ones(self):
        fine, classic = transforms.Tile(4, 3), transforms.Tile(4, 3, transforms.CLASSICAL)
        self.assertLess(2 * fine.amplification() ** 2, classic.amplification() ** 2)

    def test_names_are_unique(self):
        names = [tile.name("input") for tile in transforms.TILES]
        self.assertEqual(len(set(names)), len(names))


if __name__ == "__main__":
    transforms = load(sys.argv.pop(1))
    unittest.main()
