/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cvl_text_add(struct cvl_text *text, const char *format, ...)
{
    const size_t room = text->used < text->size ? text->size - text->used : 0;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(room ? text->at + text->used : NULL, room, format, arguments);
    va_end(arguments);
    text->used += length > 0 ? (size_t)length : 0;
}

bool cvl_text_int(const char *text, size_t length, long long low, long long high, long long *value)
{
    const bool negative = length > 0 && text[0] == '-';
    long long sum = 0;
    if (length == (size_t)negative)
        return false;
    for (size_t i = negative; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        const int digit = text[i] - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, negative ? -digit : digit, &sum))
            return false;
    }
    if (sum < low || sum > high)
        return false;
    *value = sum;
    return true;
}

/* strtod reads the locale's decimal point; a text in C notation is respelled for it first. */
bool cvl_text_double(const char *text, size_t length, double *value)
{
    char respelled[80];
    const char *point = localeconv()->decimal_point;
    struct cvl_text copy = { respelled, sizeof respelled, 0 };
    for (size_t i = 0; i < length; i++) {
        if (!strchr("0123456789.eE+-", text[i]) || text[i] == '\0')
            return false;
        if (text[i] == '.')
            cvl_text_add(&copy, "%s", point);
        else
            cvl_text_add(&copy, "%c", text[i]);
    }
    if (length == 0 || copy.used >= copy.size)
        return false;
    char *end;
    const double number = strtod(respelled, &end);
    if (*end != '\0' || !isfinite(number))
        return false;
    *value = number;
    return true;
}

bool cvl_text_listed(const char *list, const char *word)
{
    const size_t length = strlen(word);
    while (list) {
        const size_t here = strcspn(list, ",");
        if (here == length && memcmp(list, word, length) == 0)
            return true;
        list = list[here] ? list + here + 1 : NULL;
    }
    return false;
}
