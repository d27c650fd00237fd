/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

#include "conv/desc.h"
#include "conv/registry.h"

#include <stdio.h>
#include <string.h>

static const char *const pass_names[] = { "fwd", "bwd_data", "bwd_filter" };
static const char *const type_names[] = { "f32", "half", "integer" };
static const char *const layout_names[] = { "nchw", "nhwc", "mixed" };

static enum tally_types types_of(const cvl_conv_desc *d)
{
    return cvl_conv_is_f32(d) ? TALLY_F32 : cvl_conv_is_integer(d) ? TALLY_INTEGER : TALLY_HALF;
}

static enum tally_layouts layouts_of(const cvl_conv_desc *d)
{
    if (d->x_layout == CVL_NCHW && d->y_layout == CVL_NCHW && d->w_layout == CVL_KCRS)
        return TALLY_NCHW;
    if (d->x_layout == CVL_NHWC && d->y_layout == CVL_NHWC && d->w_layout == CVL_KRSC)
        return TALLY_NHWC;
    return TALLY_MIXED;
}

struct tally_cell *tally_at(struct tally *tally, int algo, const cvl_conv_desc *desc)
{
    return &tally->cell[algo][desc->pass][types_of(desc)][layouts_of(desc)];
}

static void print_row(const struct tally *tally, int algo, int pass, int types)
{
    const struct tally_cell *cells = tally->cell[algo][pass][types];
    long candidates = 0;
    double worst = 0;
    printf("%-12s %-10s %-8s", cvl_algo_name(algo), pass_names[pass], type_names[types]);
    for (int layouts = 0; layouts < TALLY_LAYOUTS; layouts++) {
        printf("  %6ld of %-6ld", cells[layouts].accepted, cells[layouts].offered);
        candidates += cells[layouts].candidates;
        if (cells[layouts].worst > worst)
            worst = cells[layouts].worst;
    }
    printf("  %8ld  %5.1f %%\n", candidates, 100 * worst);
}

void tally_print(const struct tally *tally)
{
    printf("%-12s %-10s %-8s  accepted: %-7s  %-16s  %-16s  %8s  %s\n", "algorithm", "pass", "types", "nchw", "nhwc",
           "mixed", "candidates", "error / tolerance");
    for (int algo = 0; cvl_algo_name(algo); algo++)
        for (int pass = 0; pass <= CVL_BWD_FILTER; pass++)
            for (int types = 0; types < TALLY_TYPES; types++)
                print_row(tally, algo, pass, types);
}

struct expectation { char algo[32], pass[16], types[16], layouts[16]; double percent; };

static bool matches(const char *pattern, const char *name)
{
    return strcmp(pattern, "*") == 0 || strcmp(pattern, name) == 0;
}

/* Adds up what one row of the file is about. */
static struct tally_cell sum_of(const struct tally *tally, const struct expectation *row)
{
    struct tally_cell sum = { 0 };
    for (int algo = 0; cvl_algo_name(algo); algo++)
        for (int pass = 0; pass <= CVL_BWD_FILTER; pass++)
            for (int types = 0; types < TALLY_TYPES; types++)
                for (int layouts = 0; layouts < TALLY_LAYOUTS; layouts++)
                    if (matches(row->algo, cvl_algo_name(algo)) && matches(row->pass, pass_names[pass])
                        && matches(row->types, type_names[types]) && matches(row->layouts, layout_names[layouts])) {
                        sum.offered += tally->cell[algo][pass][types][layouts].offered;
                        sum.accepted += tally->cell[algo][pass][types][layouts].accepted;
                    }
    return sum;
}

static bool holds(const struct tally *tally, const struct expectation *row)
{
    const struct tally_cell sum = sum_of(tally, row);
    if (sum.accepted > 0 && 100.0 * (double)sum.accepted >= row->percent * (double)sum.offered)
        return true;
    printf("FAILED  %s, pass %s, types %s, layouts %s: accepted %ld of %ld problems, expected %g %% of some\n",
           row->algo, row->pass, row->types, row->layouts, sum.accepted, sum.offered, row->percent);
    return false;
}

/* A vendor's library that is loaded at run time may not be there. */
static bool is_tested(const struct cvl_algo *algo, cvl_device_kind tested)
{
    return algo->device == tested && !(algo->lacks && algo->lacks());
}

int tally_check(const struct tally *tally, cvl_device_kind tested, const char *path)
{
    char line[256];
    int fallen = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return -1;
    }
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        struct expectation row;
        if (number == 1)
            continue;   /* the names of the columns */
        if (sscanf(line, "%31[^,],%15[^,],%15[^,],%15[^,],%lf", row.algo, row.pass, row.types, row.layouts,
                   &row.percent) == 5) {
            fallen += tested == CVL_CPU && !holds(tally, &row);
        } else {
            printf("FAILED  %s: '%s' is not algorithm,pass,types,layouts,percent\n", path, line);
            fallen++;
        }
    }
    fclose(file);
    for (int algo = 0; cvl_algo_name(algo); algo++) {
        struct expectation any = { .pass = "*", .types = "*", .layouts = "*" };
        snprintf(any.algo, sizeof any.algo, "%s", cvl_algo_name(algo));
        fallen += is_tested(cvl_algos[algo], tested) && !holds(tally, &any);
    }
    return fallen;
}
