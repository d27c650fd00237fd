/* SPDX-License-Identifier: Apache-2.0
 * How far it is, on a terminal's stderr and nowhere else; and the wish to stop: Ctrl-C or a termination. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool        shown;       /* stderr is a terminal, and nobody asked for quiet */
    int         done, total; /* layers */
    const char *label;       /* the layer at work */
    double      start, drawn;
};

void progress_start(struct progress *progress, int total, bool quiet);
bool progress_tell(void *progress, double done);   /* a cvl_progress_fn: false when the user wants to stop */
void progress_clear(const struct progress *progress);   /* before anything else is printed */

/* The first SIGINT or SIGTERM asks the program to stop soon, the second one ends it at once. */
void interrupt_install(void);
int  interrupt_signal(void);   /* 0: none yet */

#endif
