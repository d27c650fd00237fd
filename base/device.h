/* SPDX-License-Identifier: Apache-2.0
 * What a test harness and a bench need of a device, so that one of each serves all devices. */
#ifndef BASE_DEVICE_H
#define BASE_DEVICE_H

#include "cvl/base.h"

struct cvl_device {
    const char      *name;                                        /* "cpu" */
    cvl_device_kind  kind;
    void      *(*alloc)(size_t bytes);                            /* aligned as plans need it; NULL: no memory */
    void       (*free)(void *memory);
    cvl_status (*upload)(void *device, const void *host, size_t bytes);
    cvl_status (*download)(void *host, const void *device, size_t bytes);
    cvl_status (*synchronize)(void *stream);                      /* all work given to the stream is done */
};

extern const struct cvl_device cvl_device_cpu;

/* CVL_EDEVICE with the reason when this build or machine has no such device. */
cvl_status cvl_device_get(cvl_device_kind kind, int index, const struct cvl_device **device);

#endif
