/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[CVL_SENTENCE_MAX];
static _Thread_local char last_reason[CVL_SENTENCE_MAX];

static const char *const status_names[] = {
    [CVL_OK] = "CVL_OK",           [CVL_EINVAL] = "CVL_EINVAL",     [CVL_EUNSUP] = "CVL_EUNSUP",
    [CVL_ENOMEM] = "CVL_ENOMEM",   [CVL_EIO] = "CVL_EIO",           [CVL_ECORRUPT] = "CVL_ECORRUPT",
    [CVL_EDEVICE] = "CVL_EDEVICE", [CVL_ENOTFOUND] = "CVL_ENOTFOUND",
};

const char *cvl_status_name(cvl_status status)
{
    const size_t index = (size_t)status;
    return index < sizeof status_names / sizeof *status_names ? status_names[index] : "unknown status";
}

const char *cvl_last_error(void)
{
    return last_error;
}

/* The arguments may point into the text that is being replaced, as when a caller adds to an inner sentence. */
static void keep(char text[CVL_SENTENCE_MAX], const char *format, va_list arguments)
{
    char fresh[CVL_SENTENCE_MAX];
    vsnprintf(fresh, sizeof fresh, format, arguments);
    memcpy(text, fresh, sizeof fresh);
}

cvl_status cvl_fail(cvl_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(last_error, format, arguments);
    va_end(arguments);
    return status;
}

const char *cvl_reason(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(last_reason, format, arguments);
    va_end(arguments);
    return last_reason;
}
