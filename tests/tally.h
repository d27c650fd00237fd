/* SPDX-License-Identifier: Apache-2.0
 * How many problems each algorithm accepted, per pass, kind of types and kind of layouts. */
#ifndef TESTS_TALLY_H
#define TESTS_TALLY_H

#include "cvl/conv.h"

#define TALLY_ALGOS_MAX 32
enum tally_types { TALLY_F32, TALLY_HALF, TALLY_INTEGER, TALLY_TYPES };
enum tally_layouts { TALLY_NCHW, TALLY_NHWC, TALLY_MIXED, TALLY_LAYOUTS };

struct tally_cell {
    long   offered, accepted, candidates;
    double worst;                     /* the largest error as a share of its tolerance */
};

struct tally {
    struct tally_cell cell[TALLY_ALGOS_MAX][CVL_BWD_FILTER + 1][TALLY_TYPES][TALLY_LAYOUTS];
};

/* The cell of one algorithm, by its place in the registry, for problems like this one. */
struct tally_cell *tally_at(struct tally *tally, int algo, const cvl_conv_desc *desc);

void tally_print(const struct tally *tally);

/* Holds the tally against a CSV file of smallest shares, algorithm,pass,types,layouts,percent with * for any, of the
 * algorithms that every build has for a CPU; and every algorithm of the device that was tested against having accepted
 * nothing. Prints what fell and returns how many did. -1: the file is unreadable. */
int tally_check(const struct tally *tally, cvl_device_kind tested, const char *path);

#endif
