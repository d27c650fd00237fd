/* SPDX-License-Identifier: Apache-2.0
 * Holds the threads of a measurement on processors of their own, so that the scheduler cannot move one to where its
 * caches are cold, or two to one processor. */
#ifndef TUNER_PIN_H
#define TUNER_PIN_H

#include "base/ctx.h"

struct cvl_pins;

/* NULL, and nothing is held: the threads are a host's, or they are more than the processors, or there is no memory. To
 * be called, like the release, by the thread that measures. */
struct cvl_pins *cvl_pin_threads(const cvl_ctx *ctx);
void             cvl_pin_release(struct cvl_pins *pins);   /* as it was before; NULL is allowed */

#endif
