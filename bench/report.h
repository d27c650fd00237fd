/* SPDX-License-Identifier: Apache-2.0
 * What there is to say of one layer, and the figures that every kind of report derives from it in the same way. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>
#include "base/machine.h"
#include "bench/workload.h"

/* Where and with what everything was measured. */
struct bench_place {
    const char      *machine, *isa, *device, *commit;
    int              threads;
    cvl_state        state;
    struct cvl_rates peak;        /* of this isa and these threads, measured in this run */
};

struct layer_report {
    const struct layer       *layer;
    const struct bench_place *place;
    char                      label[LABEL_MAX];
    char                      problem[CVL_CONV_TEXT_MAX];
    const cvl_result         *results;
    int                       count;
    const cvl_result         *chosen;      /* NULL: nothing could be chosen */
    double                    regret;      /* at most, at 95 %, as a share of the best time; negative: not known */
    char                      failure[512];    /* why not, or empty */
};

/* Fills problem, label and chosen. */
void report_init(struct layer_report *report, const struct layer_list *list, const struct layer *layer,
                 const struct bench_place *place);
void report_take(struct layer_report *report, const cvl_result *results, int count);

/* The fastest one that was measured and is right, besides the chosen one; NULL: none. */
const cvl_result *report_runner_up(const struct layer_report *report);

/* Where the winner is a vendor's: the fastest of ours; else NULL. */
const cvl_result *report_best_own(const struct layer_report *report);

cvl_source report_source(const struct layer_report *report);   /* measured when any result is, else the chosen's */
bool       report_has_fault(const struct layer_report *report); /* a wrong or a failed one */

double report_time_ms(const cvl_result *result);               /* the median, else the estimate, else 0 */
/* What a problem's rate is compared with, operations a second, and its name: "f32". */
double report_rate(const struct cvl_rates *peak, const cvl_conv_desc *desc, const char **name);
double report_peak(const struct layer_report *report);         /* operations per second, of the problem's type */
double report_gflops(const struct layer_report *report, const cvl_result *result);    /* 0: not measured */
double report_percent_peak(const struct layer_report *report, const cvl_result *result);
double report_percent_roofline(const struct layer_report *report, const cvl_result *result);

/* "1.2 MiB" */
#define BYTES_TEXT_MAX 16
const char *report_bytes(size_t bytes, char text[BYTES_TEXT_MAX]);

#endif
