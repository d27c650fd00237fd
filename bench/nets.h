/* SPDX-License-Identifier: Apache-2.0
 * The grids of bench/nets/, built into the program. */
#ifndef BENCH_NETS_H
#define BENCH_NETS_H

#include "bench/grid.h"

struct net { const char *name, *what, *check; };   /* check: which published totals the grid matched */
struct net_text { const char *name, *csv; };       /* the file's name without .csv, and its text */

extern const struct net      nets[];        /* both end with a NULL name */
extern const struct net_text net_texts[];

/* CVL_ENOTFOUND: the message lists the names. */
cvl_status net_read(const char *name, struct layer_list *list);

#endif
