/* SPDX-License-Identifier: Apache-2.0
 * What plans, a test harness and a bench need of a device, so that one of each serves all devices. Functions that take
 * a stream return before the work that they give to it is done; NULL is the device's default stream. */
#ifndef BASE_DEVICE_H
#define BASE_DEVICE_H

#include "base/machine.h"
#include "cvl/base.h"

struct cvl_timer;   /* two points of a stream's work */
struct cvl_graph;   /* work that a stream was given, to be given to it again at once */

struct cvl_device {
    const char      *name;                                        /* "cpu", "cuda:0" */
    cvl_device_kind  kind;
    int              index;

    /* Of a GPU; else empty and 0. */
    char   model[64], driver[32], runtime[32];                    /* "NVIDIA H200", "13.0", "13.0": CUDA versions */
    int    capability, multiprocessors;                           /* 90: compute capability 9.0 */
    size_t l2_bytes, memory_bytes;
    size_t shared_bytes;                                          /* the most that one block can have */
    double core_hz, memory_bytes_per_s;                           /* at the clocks it is sold with; 0: not told */
    const char *description;                                      /* of a device that is only described, for tests: its
                                                                     properties as JSON. Plans are made, and cannot run */

    /* Makes it the calling thread's current device until leave(what enter returned); both NULL where there is nothing to
     * do. The functions below do so themselves. */
    int        (*enter)(const struct cvl_device *device);
    void       (*leave)(int before);

    void      *(*alloc)(const struct cvl_device *device, size_t bytes);   /* aligned as plans need it; NULL: no memory */
    void       (*free)(const struct cvl_device *device, void *memory);
    cvl_status (*upload)(const struct cvl_device *device, void *to, const void *host, size_t bytes);
    cvl_status (*download)(const struct cvl_device *device, void *host, const void *from, size_t bytes);
    cvl_status (*fill)(const struct cvl_device *device, void *memory, int byte, size_t bytes);   /* done on return */
    cvl_status (*synchronize)(const struct cvl_device *device, void *stream);   /* all work given to the stream is done */

    /* What follows is NULL where work is done when the call that gives it returns. */
    cvl_status (*stream_create)(const struct cvl_device *device, void **stream);   /* waits for no other */
    void       (*stream_destroy)(const struct cvl_device *device, void *stream);

    cvl_status (*timer_create)(const struct cvl_device *device, struct cvl_timer **timer);
    void       (*timer_destroy)(const struct cvl_device *device, struct cvl_timer *timer);   /* NULL is allowed */
    cvl_status (*timer_start)(const struct cvl_device *device, struct cvl_timer *timer, void *stream);
    cvl_status (*timer_stop)(const struct cvl_device *device, struct cvl_timer *timer, void *stream);
    cvl_status (*timer_seconds)(const struct cvl_device *device, struct cvl_timer *timer, double *seconds);   /* waits */

    /* Between begin and end the stream's work is kept instead of done, whatever thread gives it; not of the default
     * stream. End must follow begin, whatever failed in between; *graph is NULL when it fails. */
    cvl_status (*capture_begin)(const struct cvl_device *device, void *stream);
    cvl_status (*capture_end)(const struct cvl_device *device, void *stream, struct cvl_graph **graph);
    cvl_status (*graph_launch)(const struct cvl_device *device, struct cvl_graph *graph, void *stream);
    void       (*graph_destroy)(const struct cvl_device *device, struct cvl_graph *graph);   /* NULL is allowed */

    /* Gives the stream the same arithmetic every time, about 100 us of it: how long that takes tells the clock. */
    cvl_status (*pace)(const struct cvl_device *device, void *stream);

    /* What plans' estimates reckon with: a guess, and what about `seconds` of measuring find out. */
    struct cvl_rates (*nominal_rates)(const struct cvl_device *device);
    cvl_status       (*measure_rates)(const struct cvl_device *device, double seconds, struct cvl_rates *rates);
};

/* The devices of one kind that this build can use; the list of them is written by base/meson.build. */
struct cvl_device_family {
    cvl_device_kind kind;
    cvl_status    (*get)(int index, const struct cvl_device **device);
};

/* CVL_EDEVICE with the reason when this build or machine has no such device. Devices live as long as the process. */
cvl_status cvl_device_get(cvl_device_kind kind, int index, const struct cvl_device **device);

#endif
