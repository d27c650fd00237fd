/* SPDX-License-Identifier: Apache-2.0
 * Text built up in a fixed buffer, and numbers read from text without surprises. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/error.h"

/* Like snprintf, appending: `used` counts what would have been written, so that used >= size says it was cut. */
struct cvl_text { char *at; size_t size, used; };

void cvl_text_add(struct cvl_text *text, const char *format, ...) CVL_PRINTF(2, 3);

/* The whole of [text, text+length) is a decimal integer in [low, high]; false otherwise, and *value stays. */
bool cvl_text_int(const char *text, size_t length, long long low, long long high, long long *value);

/* The whole of [text, text+length) is a finite number in C notation, whatever the locale. */
bool cvl_text_double(const char *text, size_t length, double *value);

/* Is word one of the comma-separated words of list? NULL list: no. */
bool cvl_text_listed(const char *list, const char *word);

#endif
