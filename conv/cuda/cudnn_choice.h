/* SPDX-License-Identifier: Apache-2.0
 * Engine configurations: those that cuDNN's heuristics name for a problem, and any one by its engine and knobs. */
#ifndef CONV_CUDA_CUDNN_CHOICE_H
#define CONV_CUDA_CUDNN_CHOICE_H

#include "conv/algo.h"
#include "conv/cuda/cudnn_graph.h"
#include "conv/cuda/cudnn_name.h"

/* Variant.notes: cuDNN's numerical notes, a bit each, and above them the place among the heuristics' answers. */
#define CVL_CUDNN_NOTE(note) (1u << CUDNN_NUMERICAL_NOTE_##note)
#define CVL_CUDNN_RANK_SHIFT 16

struct cvl_cudnn_choices {
    int                count, left_out;   /* left_out: of lower arithmetic than the problem's, or not to be named */
    struct cvl_variant variant[CVL_VARIANTS_MAX];
};

/* Heuristics A, B and fallback one after the other, each configuration once. A failure is CVL_EUNSUP, or the
 * device's. */
cvl_status cvl_cudnn_choices_make(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                                  struct cvl_cudnn_choices *choices);

/* One configuration, ready to run when the target is a handle. */
struct cvl_cudnn_plan {
    struct cvl_cudnn_graph   graph;
    cudnnBackendDescriptor_t engine, config, plan;
    cudnnBackendDescriptor_t choice[CVL_CUDNN_PAIRS_MAX];
    size_t                   workspace_bytes;
    unsigned                 notes;
};

/* CVL_ENOTFOUND: the engine does not exist, or not with these knobs. On failure nothing is left behind. */
cvl_status cvl_cudnn_plan_create(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                                 const struct cvl_variant *variant, struct cvl_cudnn_plan *plan);
void       cvl_cudnn_plan_destroy(struct cvl_cudnn_plan *plan);

#endif
