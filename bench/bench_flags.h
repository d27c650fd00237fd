/* SPDX-License-Identifier: Apache-2.0
 * What conv-bench was asked for. */
#ifndef BENCH_BENCH_FLAGS_H
#define BENCH_BENCH_FLAGS_H

#include "bench/options.h"
#include "cvl/tuner.h"

#define SOURCES_MAX 64
#define UNSET (-1)

enum source_kind { SOURCE_GRID, SOURCE_NET, SOURCE_CONV };
enum dtype_word { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_INT8 };
enum layout_word { LAYOUT_NCHW, LAYOUT_NHWC, LAYOUT_NCHW16C, LAYOUT_ALL };
enum filter_word { FILTER_PACKED, FILTER_RAW };
#define PASS_ALL 3   /* the words before it are cvl_pass */

struct bench_config {
    struct { enum source_kind kind; const char *text; } sources[SOURCES_MAX];
    int             source_count;

    /* Problems; UNSET leaves what the grid or the text says. */
    int             pass, dtype, math, layout, filter;
    int             batch, shrink;
    bool            has_epilogue;
    cvl_epilogue    epilogue;
    int             shard, shards;           /* shard from 1 */

    /* Who answers, and how. */
    char            allow[512], deny[512];   /* comma-separated; empty: none named */
    bool            algo_auto;
    cvl_device_kind device;
    int             device_index, threads;
    int             mode, state;             /* cvl_mode, cvl_state */
    double          budget_s;
    size_t          max_workspace;
    double          max_error;
    bool            deterministic, retune;
    const char     *cache;

    /* What is written. */
    const char     *csv, *compare;
    bool            verify, audit, why, profile, quiet;
    bool            list_algos, list_nets, machine;
};

extern const struct program      conv_bench_program;
extern const struct bench_config bench_defaults;

#endif
