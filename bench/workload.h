/* SPDX-License-Identifier: Apache-2.0
 * The problems that a command line names, in its order: every source's layers, changed as the flags say, once for each
 * pass and layout asked for. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench/bench_flags.h"
#include "bench/grid.h"

/* Fails with one sentence about the first input that is wrong; the list is then empty. */
cvl_status workload_read(const struct bench_config *config, struct layer_list *list);

/* What measuring a layer takes, roughly, in seconds of an average machine. The same everywhere, so that shards made on
 * different machines are parts of one whole. */
double workload_cost(const cvl_conv_desc *desc);

/* "layer1.0.conv2", and where the list holds more than one: " bwd_data", " nhwc". */
#define LABEL_MAX (LAYER_NAME_MAX + 32)
void workload_label(const struct layer_list *list, const struct layer *layer, char label[LABEL_MAX]);

#endif
