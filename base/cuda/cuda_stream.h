/* SPDX-License-Identifier: Apache-2.0
 * What base/device.h asks of a device's streams, timers and graphs, by the CUDA runtime. */
#ifndef BASE_CUDA_CUDA_STREAM_H
#define BASE_CUDA_CUDA_STREAM_H

#include "base/device.h"

int        cvl_cuda_enter(const struct cvl_device *device);
void       cvl_cuda_leave(int before);
/* Leaves, and tells what a call said that was made since cvl_cuda_enter. */
cvl_status cvl_cuda_left(int before, int error, const char *what);

cvl_status cvl_cuda_synchronize(const struct cvl_device *device, void *stream);
cvl_status cvl_cuda_stream_create(const struct cvl_device *device, void **stream);
void       cvl_cuda_stream_destroy(const struct cvl_device *device, void *stream);

cvl_status cvl_cuda_timer_create(const struct cvl_device *device, struct cvl_timer **timer);
void       cvl_cuda_timer_destroy(const struct cvl_device *device, struct cvl_timer *timer);
cvl_status cvl_cuda_timer_start(const struct cvl_device *device, struct cvl_timer *timer, void *stream);
cvl_status cvl_cuda_timer_stop(const struct cvl_device *device, struct cvl_timer *timer, void *stream);
cvl_status cvl_cuda_timer_seconds(const struct cvl_device *device, struct cvl_timer *timer, double *seconds);

cvl_status cvl_cuda_capture_begin(const struct cvl_device *device, void *stream);
cvl_status cvl_cuda_capture_end(const struct cvl_device *device, void *stream, struct cvl_graph **graph);
cvl_status cvl_cuda_graph_launch(const struct cvl_device *device, struct cvl_graph *graph, void *stream);
void       cvl_cuda_graph_destroy(const struct cvl_device *device, struct cvl_graph *graph);

/* The reference kernel that goes before each round of samples. */
cvl_status cvl_cuda_pace(const struct cvl_device *device, void *stream);

#endif
