/* SPDX-License-Identifier: Apache-2.0
 * Engine configurations as variants and in names: cudnn:eng=62:k2=5:k13=1. In a variant knob[0] is the engine's number
 * and the others are (type, value) pairs by ascending type; each is one more than cuDNN's, so that 0 is none. */
#ifndef CONV_CUDA_CUDNN_NAME_H
#define CONV_CUDA_CUDNN_NAME_H

#include "conv/algo.h"

#define CVL_CUDNN_PAIRS_MAX (CVL_KNOBS_MAX - 1)
#define CVL_CUDNN_ENGINES_MAX (1 << 20)

/* Knobs stand in the order of their types, so that a configuration has one name. False: there is no room, or the type
 * is there already, or a number is out of range. */
bool cvl_cudnn_pair_add(struct cvl_variant *variant, int type, long long value);
int  cvl_cudnn_pair_type(int pair);
int  cvl_cudnn_pair_value(int pair);

/* ":eng=62:k2=5"; and one of its words, "k2=5", without the colon. */
void cvl_cudnn_variant_print(const struct cvl_variant *variant, struct cvl_text *text);
bool cvl_cudnn_variant_read(const char *word, size_t length, struct cvl_variant *variant);

#endif
