/* SPDX-License-Identifier: Apache-2.0
 * A GPU that is made of this program's memory and of a clock that only its work moves: streams, graphs and timers do
 * what the table in base/device.h says of them, and everything that is made is counted until it is given back. */
#ifndef TESTS_FAKE_GPU_H
#define TESTS_FAKE_GPU_H

#include "base/device.h"

#define FAKE_GPU_L2 ((size_t)1 << 20)

extern const struct cvl_device fake_gpu;
extern double fake_gpu_clock;              /* seconds of work that it has done */
extern int    fake_gpu_live;               /* allocations, streams, timers and graphs that nobody has given back */
extern int    fake_gpu_paces, fake_gpu_captures, fake_gpu_replays;
extern bool   fake_gpu_refuses_capture;    /* capture_end fails, as when a plan did what cannot be captured */

/* Work for a stream: done at once, or kept while the stream is captured. Done is: fn(arg), and the clock moves. */
void fake_gpu_launch(void *stream, void (*fn)(const void *arg), const void *arg, size_t arg_bytes, double seconds);

#endif
