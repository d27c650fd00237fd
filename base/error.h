/* SPDX-License-Identifier: Apache-2.0
 * One sentence a failure, kept per thread: cvl_last_error() reads what cvl_fail wrote. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "cvl/base.h"

#define CVL_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#define CVL_SENTENCE_MAX 512

/* Keeps the sentence for cvl_last_error() and returns status: return cvl_fail(CVL_EINVAL, "stride_h is %d, ...", s). */
cvl_status cvl_fail(cvl_status status, const char *format, ...) CVL_PRINTF(2, 3);

/* A lower-case reason for `reject`, valid in this thread until its next call. */
const char *cvl_reason(const char *format, ...) CVL_PRINTF(1, 2);

#endif
