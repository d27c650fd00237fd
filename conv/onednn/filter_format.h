/* SPDX-License-Identifier: Apache-2.0
 * Names of oneDNN's filter formats, in its own notation: "gOIhw16i16o" are groups of blocks of 16 channels and 16
 * filters, in which the filters run fastest. Without groups the g is not there. Axes of one element lie anywhere, so
 * the first name of the list that fits is taken. */
#ifndef CONV_ONEDNN_FILTER_FORMAT_H
#define CONV_ONEDNN_FILTER_FORMAT_H

#include "conv/onednn/dnnl_api.h"

/* The number that candidates call a format by, 1 and up; 0: it has no name. */
int cvl_filter_format(const struct cvl_dnnl_md *md);
/* NULL without one. */
const char *cvl_filter_format_name(int number);

#endif
