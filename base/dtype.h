/* SPDX-License-Identifier: Apache-2.0
 * Element types: their sizes and names, and their values as doubles. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include "cvl/base.h"

size_t      cvl_dtype_size(cvl_dtype type);    /* bytes */
const char *cvl_dtype_name(cvl_dtype type);    /* "bf16" */
bool        cvl_dtype_is_float(cvl_dtype type);

/* Element `index` of a tensor. Store rounds to nearest even; integers saturate, and a NaN becomes 0 in them. */
double cvl_dtype_load(cvl_dtype type, const void *tensor, size_t index);
void   cvl_dtype_store(cvl_dtype type, void *tensor, size_t index, double value);

/* What would be loaded after a store. */
double cvl_dtype_round(cvl_dtype type, double value);

uint16_t cvl_bf16_from_float(float value);
float    cvl_bf16_to_float(uint16_t bits);
uint16_t cvl_f16_from_float(float value);
float    cvl_f16_to_float(uint16_t bits);

#endif
