/* SPDX-License-Identifier: Apache-2.0
 * What the two halves of a problem's text form share: words cut out of a text, and the optional fields. */
#ifndef CONV_DESC_WORD_H
#define CONV_DESC_WORD_H

#include "base/text.h"
#include "cvl/conv.h"

#define CVL_LENGTH(array) (sizeof (array) / sizeof *(array))

struct cvl_word { const char *at; size_t length; };

/* For "%.*s": fields are quoted up to a length that leaves room for the rest of the sentence. */
#define CVL_QUOTE_MAX 80
#define CVL_QUOTED(word) (int)((word).length < CVL_QUOTE_MAX ? (word).length : CVL_QUOTE_MAX), (word).at

bool cvl_word_is(struct cvl_word word, const char *text);
/* Index of word among the names, or -1. */
int  cvl_word_find(struct cvl_word word, const char *const *names, int count);
/* Cuts word at every separator into at most max parts; returns how many there are, max + 1 when more. */
int  cvl_word_split(struct cvl_word word, char separator, struct cvl_word *parts, int max);
bool cvl_word_int(struct cvl_word word, int *value);   /* 0 to INT_MAX */

static inline struct cvl_word cvl_word_drop(struct cvl_word word, size_t count)
{
    return (struct cvl_word){ word.at + count, word.length - count };
}

/* "?" for a value that no name belongs to: problems are printed in messages before they are checked. */
static inline const char *cvl_name_of(unsigned value, const char *const *names, size_t count)
{
    return value < count ? names[value] : "?";
}

/* The int field of *desc that is at this offset. */
static inline int *cvl_desc_int(const cvl_conv_desc *desc, size_t offset)
{
    return (int *)((char *)(uintptr_t)desc + offset);
}

/* One optional field into *desc, in any order; `taken`, all NULL at first, remembers which of them stood in each place.
 * CVL_EINVAL and a sentence. */
#define CVL_DESC_PLACES 13
struct cvl_desc_option;
cvl_status cvl_desc_option_read(struct cvl_word field, const struct cvl_desc_option *taken[CVL_DESC_PLACES],
                                cvl_conv_desc *desc);
/* All that are not at their defaults, each with its colon. */
void       cvl_desc_options_write(const cvl_conv_desc *desc, struct cvl_text *text);

#endif
